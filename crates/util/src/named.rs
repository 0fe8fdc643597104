//! Enums that users choose from: one name for each value, the same in flags, manifests and messages.

/// A name that is none of the choices.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown {what} '{found}': expected one of {expected}")]
pub struct UnknownName {
    /// What kind of name.
    pub what: &'static str,
    /// As given.
    pub found: String,
    /// The known names.
    pub expected: String,
}

/// Gives an enum `ALL`, `name`, `Display`, `FromStr` and serde's two traits, all by the names that are listed.
///
/// ```
/// #[derive(Clone, Copy, Debug, PartialEq)]
/// enum Pet {
///     Cat,
///     Dog,
/// }
/// util::named!(Pet, "pet", { Cat = "cat", Dog = "dog" });
///
/// assert_eq!("dog".parse(), Ok(Pet::Dog));
/// assert_eq!((Pet::ALL.len(), Pet::Cat.name()), (2, "cat"));
/// let error = "cow".parse::<Pet>().unwrap_err().to_string();
/// assert_eq!(error, "unknown pet 'cow': expected one of cat, dog");
/// ```
#[macro_export]
macro_rules! named {
    ($type:ident, $what:literal, { $($variant:ident = $name:literal),+ $(,)? }) => {
        impl $type {
            /// Every value, in the order in which help texts list them.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The name in flags, manifests and messages.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),+ }
            }
        }

        impl ::std::fmt::Display for $type {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                f.pad(self.name())
            }
        }

        impl ::std::str::FromStr for $type {
            type Err = $crate::UnknownName;

            fn from_str(text: &str) -> ::std::result::Result<Self, Self::Err> {
                Self::ALL.iter().copied().find(|value| value.name() == text).ok_or_else(|| {
                    let names: ::std::vec::Vec<&str> =
                        Self::ALL.iter().map(|value| value.name()).collect();
                    let (found, expected) = (text.to_owned(), names.join(", "));
                    $crate::UnknownName { what: $what, found, expected }
                })
            }
        }

        impl $crate::serde::Serialize for $type {
            fn serialize<S: $crate::serde::Serializer>(
                &self,
                serializer: S,
            ) -> ::std::result::Result<S::Ok, S::Error> {
                serializer.serialize_str(self.name())
            }
        }

        impl<'de> $crate::serde::Deserialize<'de> for $type {
            fn deserialize<D: $crate::serde::Deserializer<'de>>(
                deserializer: D,
            ) -> ::std::result::Result<Self, D::Error> {
                let name = <::std::borrow::Cow<'de, str> as $crate::serde::Deserialize>::deserialize(
                    deserializer,
                )?;
                name.parse().map_err($crate::serde::de::Error::custom)
            }
        }
    };
}
