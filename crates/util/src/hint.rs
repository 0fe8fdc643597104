//! What fixes an error.

/// An error that may know what fixes it.
pub trait Hint {
    /// What fixes it: one sentence without a leading `hint:`, in the words of the library; which flag or button does it is
    /// for the program to say. `None` where nothing is known to help.
    fn hint(&self) -> Option<String>;
}
