//! Every name that a deployment stands on is durable before it counts, whoever made it.

use super::*;
use crate::vault::durable::seen;

/// No certificate, but what ends one: more is not looked at here.
const CHAIN: &[u8] =
    b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n-----BEGIN CERTIFICATE-----\n";
const KEY: &[u8] = b"no key";

#[test]
fn what_a_killed_life_left_is_made_durable_before_it_counts() {
    let root = tempfile::tempdir().unwrap();
    let directory = root.path().join("certs/web");
    let (certs, generations) = (root.path().join("certs"), directory.join(GENERATIONS));
    let deployed = || {
        seen::synced();
        deploy(&directory, Generation(1), CHAIN, KEY).unwrap();
        seen::synced()
    };
    let first = deployed();
    // From the outside to the inside, the link last.
    let names = [root.path(), &certs, &directory, &generations, &directory];
    let mut found = first.iter();
    assert!(names.iter().all(|name| found.any(|synced| synced == name)), "{first:?}");
    let again = [directory.clone(), generations.clone(), directory.clone()];
    // All is there, and none of these names need be durable: that is what a kill before the last
    // syncs leaves.
    assert_eq!(deployed(), again);
    // A kill between the folder and the link.
    fs::remove_file(directory.join(CURRENT)).unwrap();
    assert_eq!(deployed(), again);
    assert_eq!(current(&directory), Some(Generation(1)));
    // A kill within the folder leaves it under another name: it is written again.
    fs::rename(generations.join("1"), generations.join(".1.tmp")).unwrap();
    assert!(deployed().ends_with(&[generations.clone(), directory.clone()]));
    assert_eq!(entries(&generations).collect::<Vec<_>>(), ["1"]);
}

#[test]
fn the_folder_of_a_directory_found_there_is_synced_too() {
    let root = tempfile::tempdir().unwrap();
    let directory = root.path().join("web");
    fs::create_dir(&directory).unwrap();
    seen::synced();
    deploy(&directory, Generation(1), CHAIN, KEY).unwrap();
    assert_eq!(seen::synced().first().map(PathBuf::as_path), Some(root.path()));
}

#[test]
fn folders_that_are_made_are_for_everybody_and_those_that_are_found_stay_as_they_are() {
    use std::os::unix::fs::PermissionsExt;
    let root = tempfile::tempdir().unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    let (shared, directory) = (root.path().join("shared"), root.path().join("shared/web"));
    fs::create_dir(&shared).unwrap();
    // Its files belong to its group, and those of the folders in it too.
    fs::set_permissions(&shared, fs::Permissions::from_mode(0o2750)).unwrap();
    deploy(&directory, Generation(1), CHAIN, KEY).unwrap();
    let generations = directory.join(GENERATIONS);
    for made in [&directory, &generations, &generations.join("1")] {
        assert_eq!(mode(made), 0o2755, "{}", made.display());
    }
    fs::set_permissions(&generations, fs::Permissions::from_mode(0o2710)).unwrap();
    deploy(&directory, Generation(2), CHAIN, KEY).unwrap();
    assert_eq!([mode(&shared), mode(&generations)], [0o2750, 0o2710]);
    assert_eq!(mode(&generations.join("2").join("privkey.pem")), 0o600);
}
