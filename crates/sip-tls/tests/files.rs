//! The ways in which certificates are renewed, each seen by the watch.

mod common;

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, channel};
use std::thread::{self, JoinHandle};

use common::{Dir, PATIENCE};
use sip_tls::Files;

/// A watch over files, which tells what is in the first of them at each change.
struct Watch {
    files: Files,
    seen: Receiver<Option<String>>,
    thread: Option<JoinHandle<()>>,
}

impl Watch {
    fn over(paths: &[&Path]) -> Self {
        let (files, watcher) = Files::new().unwrap();
        let (tell, seen) = channel();
        let first = paths[0].to_owned();
        let thread = thread::spawn(move || {
            watcher
                .run(|| tell.send(fs::read_to_string(&first).ok()).unwrap())
                .unwrap();
        });
        files.set(paths.iter().map(|path| (*path).to_owned()).collect());
        let watch = Watch {
            files,
            seen,
            thread: Some(thread),
        };
        // A new list is told once.
        watch.seen.recv_timeout(PATIENCE).unwrap();
        assert_eq!(watch.files.problem(), None);
        watch
    }

    /// Waits until the first file is seen with this in it.
    fn sees(&self, content: &str) {
        while self.seen.recv_timeout(PATIENCE).expect(content).as_deref() != Some(content) {}
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        // Its thread ends with it.
        self.files.stop();
        self.thread.take().unwrap().join().unwrap();
    }
}

fn folder(dir: &Dir, name: &str) -> PathBuf {
    let path = dir.path().join(name);
    fs::create_dir_all(&path).unwrap();
    path
}

#[test]
fn written_in_place() {
    let dir = Dir::new();
    let file = folder(&dir, "acme.sh").join("fullchain.cer");
    fs::write(&file, "one").unwrap();
    let watch = Watch::over(&[&file]);
    // acme.sh: `cat > file`; in two halves, of which the first alone may be seen too.
    let mut writer = File::create(&file).unwrap();
    writer.write_all(b"tw").unwrap();
    writer.write_all(b"o").unwrap();
    drop(writer);
    watch.sees("two");
    // Only its mode changes, as when it could not be read.
    let mode = fs::metadata(&file).unwrap().permissions();
    fs::set_permissions(&file, mode).unwrap();
    watch.sees("two");
}

#[test]
fn renamed_over_the_old_one() {
    let dir = Dir::new();
    let folder = folder(&dir, "lego");
    let file = folder.join("host.crt");
    fs::write(&file, "one").unwrap();
    let watch = Watch::over(&[&file]);
    for number in ["two", "three"] {
        fs::write(folder.join(".new"), number).unwrap();
        fs::rename(folder.join(".new"), &file).unwrap();
        watch.sees(number);
    }
}

#[test]
fn a_link_that_points_elsewhere() {
    let dir = Dir::new();
    // certbot: live/host/fullchain.pem -> ../../archive/host/fullchain1.pem
    let (live, archive) = (folder(&dir, "live/host"), folder(&dir, "archive/host"));
    let file = live.join("fullchain.pem");
    let target = |number: u32| format!("../../archive/host/fullchain{number}.pem");
    fs::write(archive.join("fullchain1.pem"), "1").unwrap();
    symlink(target(1), &file).unwrap();
    let watch = Watch::over(&[&file]);
    for number in 2..4 {
        fs::write(
            archive.join(format!("fullchain{number}.pem")),
            number.to_string(),
        )
        .unwrap();
        fs::remove_file(&file).unwrap();
        symlink(target(number), &file).unwrap();
        watch.sees(&number.to_string());
    }
    // And in the target's directory, which no name of the option's has.
    fs::write(archive.join("fullchain3.pem"), "in place").unwrap();
    watch.sees("in place");
}

#[test]
fn a_directory_that_points_elsewhere() {
    let dir = Dir::new();
    // Kubernetes: tls.crt -> ..data/tls.crt, ..data -> ..2026_01
    let mount = folder(&dir, "mount");
    for number in ["1", "2"] {
        fs::write(
            folder(&dir, &format!("mount/..{number}")).join("tls.crt"),
            number,
        )
        .unwrap();
    }
    symlink("..1", mount.join("..data")).unwrap();
    let file = mount.join("tls.crt");
    symlink("..data/tls.crt", &file).unwrap();
    let watch = Watch::over(&[&file]);
    symlink("..2", mount.join("..data_tmp")).unwrap();
    fs::rename(mount.join("..data_tmp"), mount.join("..data")).unwrap();
    watch.sees("2");
}

#[test]
fn what_is_not_there_yet_and_what_goes() {
    let dir = Dir::new();
    let below = dir.path().join("later/still");
    let file = below.join("cert.pem");
    let watch = Watch::over(&[&file]);
    for number in ["1", "2"] {
        fs::create_dir_all(&below).unwrap();
        fs::write(&file, number).unwrap();
        watch.sees(number);
        fs::remove_dir_all(dir.path().join("later")).unwrap();
        while watch.seen.recv_timeout(PATIENCE).unwrap().is_some() {}
    }
}

#[test]
fn a_directory_of_authorities() {
    let dir = Dir::new();
    let (other, hashed) = (dir.path().join("other"), folder(&dir, "hashed"));
    fs::write(&other, "").unwrap();
    let watch = Watch::over(&[&other, &hashed]);
    fs::write(hashed.join("0a1b2c3d.0"), "an authority").unwrap();
    watch.sees("");
    fs::remove_file(hashed.join("0a1b2c3d.0")).unwrap();
    watch.sees("");
}

/// More directories than are watched: said, and the first of them are.
#[test]
fn too_many_directories() {
    let dir = Dir::new();
    let file = dir.path().join("first");
    fs::write(&file, "1").unwrap();
    let watch = Watch::over(&[&file]);
    let all: Vec<PathBuf> = (0..100)
        .map(|number| folder(&dir, &format!("z{number:03}")).join("cert"))
        .collect();
    let files = &watch.files;
    files.set([vec![file.clone()], all].concat());
    watch.sees("1");
    let problem = files.problem().expect("a sentence");
    assert!(problem.contains("is not watched"), "{problem}");
    fs::write(&file, "2").unwrap();
    watch.sees("2");
    files.set(vec![file]);
    watch.sees("2");
    assert_eq!(files.problem(), None);
}
