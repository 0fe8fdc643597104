//! Pictures of the report: of the folder that the person at the keyboard names, and of no other.

use super::*;

#[test]
fn thumbnails_are_of_the_folder_that_the_user_names() {
    let root = temp();
    let (data, features, head) = own(root.path());
    let (shown, outcome) = pictures(&features, &head, Some(&data));
    assert!((1..=12).contains(&shown), "{shown} pictures");
    assert!(!outcome.text().contains("picture"), "{}", outcome.text());
    // Where `extract` looks if nothing is said, `fit-head` does too.
    fs::rename(&data, root.path().join("data")).unwrap();
    let outcome = fit_head(&features, &head)
        .flags(UNTRAINED)
        .with(|command| {
            command.current_dir(root.path());
        })
        .run()
        .exits(0);
    let page = fs::read_to_string(head.join("report.html")).unwrap();
    assert_eq!(page.matches(PICTURE).count(), shown, "{}", outcome.text());
}

#[test]
fn the_folder_that_a_manifest_names_is_not_opened() {
    let root = temp();
    let (_, features, head) = own(root.path());
    // The manifest names the folder of the shared pictures, which is there and holds all of them.
    let named = manifest(&features, "test")["run"]["extra"]["data"].as_str().unwrap().to_owned();
    assert!(Path::new(&named).join("cats/0.png").is_file());
    let (shown, outcome) = pictures(&features, &head, None);
    assert_eq!(shown, 0);
    let _ = outcome.says(&["without pictures", "--data"]);
}

#[test]
fn no_name_in_an_index_leads_out_of_the_folder() {
    let root = temp();
    let (data, features, head) = own(root.path());
    let secret = root.path().join("secret");
    copy_dir(&data, &secret);
    let there = secret.join("test").to_str().unwrap().to_owned();
    type Rename<'a> = Box<dyn Fn(&str) -> String + 'a>;
    let inside = data.join("test").to_str().unwrap().to_owned();
    let renames: [(&str, Rename<'_>); 5] = [
        ("absolute", Box::new(|file| format!("{there}/{file}"))),
        ("above", Box::new(|file| format!("../../secret/test/{file}"))),
        ("absolute and inside", Box::new(|file| format!("{inside}/{file}"))),
        ("up and inside", Box::new(|file| format!("cats/../{file}"))),
        ("down and up", Box::new(|file| format!("cats/../../../secret/test/{file}"))),
    ];
    for (what, rename) in renames {
        let changed = root.path().join(what);
        copy_dir(&features, &changed);
        change_index(&changed, "test", |fields| fields[FILE] = rename(&fields[FILE]));
        let (shown, outcome) = pictures(&changed, &head, Some(&data));
        assert_eq!(shown, 0, "{what}");
        let _ = outcome.complains(&["no picture", "expected a path below the data folder"]);
    }
}

#[cfg(unix)]
#[test]
fn no_link_in_the_folder_leads_out_of_it() {
    use std::os::unix::fs::symlink;
    let root = temp();
    let (data, features, head) = own(root.path());
    let (all, _) = pictures(&features, &head, Some(&data));
    let secret = root.path().join("secret");
    fs::rename(data.join("test"), &secret).unwrap();
    symlink(&secret, data.join("test")).unwrap();
    let (shown, outcome) = pictures(&features, &head, Some(&data));
    assert!(all > 0 && shown == 0, "{all}, {shown}");
    let _ = outcome.complains(&["no picture", "leads out"]);
    // Links of single files, too.
    fs::remove_file(data.join("test")).unwrap();
    for path in files(&secret) {
        let link = data.join("test").join(path.strip_prefix(&secret).unwrap());
        fs::create_dir_all(link.parent().unwrap()).unwrap();
        symlink(path, link).unwrap();
    }
    assert_eq!(pictures(&features, &head, Some(&data)).0, 0);
    // Links that stay inside are people's own way to keep their pictures.
    fs::rename(&secret, data.join("kept")).unwrap();
    fs::remove_dir_all(data.join("test")).unwrap();
    symlink("kept", data.join("test")).unwrap();
    assert_eq!(pictures(&features, &head, Some(&data)).0, all);
}

#[test]
fn a_picture_that_is_not_the_rows_is_not_shown() {
    let root = temp();
    let (data, features, head) = own(root.path());
    let (all, _) = pictures(&features, &head, Some(&data));
    // Another picture by the name of each: what the user's folder holds of another set.
    for path in files(&data.join("test")) {
        fs::copy(data.join("train/cats/0.png"), path).unwrap();
    }
    let (shown, outcome) = pictures(&features, &head, Some(&data));
    assert!(all > 0 && shown == 0, "{all}, {shown}");
    let _ = outcome.complains(&["no picture", "sha256"]);
}
