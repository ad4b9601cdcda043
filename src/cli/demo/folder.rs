//! Where the demo keeps its data.

use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use crate::cli::failure::{Exit, Failure};

/// A folder in which there is nothing else.
pub struct Folder(String);

impl Folder {
    /// Takes the folder that is `wanted`, or makes one among the temporary files.
    ///
    /// # Errors
    /// When it can't be made, or there is something in it.
    pub fn fresh(wanted: Option<String>) -> Result<Self, Failure> {
        let path = match wanted {
            Some(wanted) => wanted,
            None => {
                let name = format!("skald-demo-{}", uuid::Uuid::now_v7());
                std::env::temp_dir().join(name).display().to_string()
            }
        };
        match make_empty(Path::new(&path)) {
            Ok(true) => Ok(Self(path)),
            Ok(false) => {
                let what = format!("there is something in {path} already");
                Err(Failure::new(Exit::Usage, "FOLDER_NOT_EMPTY", what)
                    .next("name a new or empty folder with --data-dir, or none"))
            }
            Err(error) => {
                let what = format!("the folder {path} can't be used: {error}");
                Err(Failure::new(Exit::Usage, "FOLDER_NOT_USABLE", what))
            }
        }
    }

    /// Where it is.
    pub fn path(&self) -> &str {
        &self.0
    }
}

/// Makes the folder if it is missing, for this user alone; tells whether it is empty.
fn make_empty(path: &Path) -> io::Result<bool> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    Ok(fs::read_dir(path)?.next().is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_with_something_in_it_is_left_alone() {
        let parent = tempfile::tempdir().unwrap();
        let wanted = parent.path().join("new/folder").display().to_string();
        assert_eq!(Folder::fresh(Some(wanted.clone())).unwrap().path(), wanted);
        assert_eq!(Folder::fresh(Some(wanted.clone())).unwrap().path(), wanted);
        fs::write(parent.path().join("new/folder/file"), "kept").unwrap();
        let failure = Folder::fresh(Some(wanted)).err().unwrap();
        assert_eq!(failure.exit(), Exit::Usage);
    }

    #[test]
    fn folders_among_the_temporary_files_are_never_shared() {
        let (one, other) = (Folder::fresh(None).unwrap(), Folder::fresh(None).unwrap());
        assert_ne!(one.path(), other.path());
        for folder in [one, other] {
            fs::remove_dir(folder.path()).unwrap();
        }
    }
}
