//! One test's world: a network, a process tree and a view of the throw-away root, all its own.
//!
//! `unshare` makes the namespaces; the first process in them holds them open for as long as a pipe from this process is
//! open. However a test ends, killed or not, the pipe closes, the first process ends, and the kernel kills every other
//! one in its tree and takes the network with it. Nothing has a name outside, so there is nothing to sweep up.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsRawFd;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Output, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;

use socket2::{Domain, Socket, Type};

use crate::host::{self, Host};
use crate::process::Process;
use crate::tool;
use crate::wait;

/// The test's folder, as programs in the lab see it.
pub const FOLDER: &str = "/srv";

/// `$1` the root, `$2` the test's folder, `$3` the root of the Asterisk under test, `$4` a
/// tool's folder, if there is one, whose files are seen in the first root too. Both roots are read-only inside: a test cannot
/// spoil them for the next. Where that is this machine's own, it resolves names as the other one does, and `/tmp` can be written to
/// as ever: Asterisk's manager interface has the output of `Command` there.
const HOLD: &str = r#"set -e
for root in "$1" "$3"; do
    [ "$root" != / ] || continue
    mount --bind "$root" "$root"
    mount -o remount,ro,bind "$root"
    mount --bind "$2" "$root/srv"
    [ -z "$4" ] || mount -t overlay overlay -o "ro,lowerdir=$4/usr:$root/usr" "$root/usr"
    mount -t tmpfs tmpfs "$root/tmp"
    mount -t tmpfs tmpfs "$root/run"
    mount -t proc proc "$root/proc"
    [ "$1" != "$3" ] || break
done
if [ "$3" = / ]; then
    mount --bind "$2" /srv
    mount --bind "$1/etc/hosts" /etc/hosts
    mount --bind "$1/etc/nsswitch.conf" /etc/nsswitch.conf
    mount -t proc proc /proc
    mount --bind /tmp /tmp
    mount -o remount,ro,bind /
fi
hostname ciphertrunk
chroot "$1" ip link set lo up
echo held
exec cat"#;

/// How many of each log's last lines a failing test shows.
const LOG_LINES: usize = 40;

/// The namespaces of a lab, in the order in which a process can enter them.
const NAMESPACES: [(&str, libc::c_int); 4] = [
    ("uts", libc::CLONE_NEWUTS),
    ("ipc", libc::CLONE_NEWIPC),
    ("net", libc::CLONE_NEWNET),
    ("mnt", libc::CLONE_NEWNS),
];

/// One test's world.
#[derive(Debug)]
pub struct Lab {
    folder: PathBuf,
    root: PathBuf,
    host: Host,
    /// `/proc/PID/ns` of the first process in the namespaces.
    namespaces: PathBuf,
    holder: Child,
    // Closing it ends everything.
    _pipe: ChildStdin,
}

/// The repository.
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .nth(2)
        .expect("tests/support is two below")
        .to_owned()
}

impl Lab {
    /// A lab whose files are in `build/host/NAME`, or in `host/NAME` of `CIPHERTRUNK_BUILD`; what an earlier run left there is
    /// deleted. Runs for two Asterisks can go side by side.
    pub fn new(name: &str) -> Self {
        Self::in_folder(&host::built("build/host").join(name))
    }

    /// A lab whose files are in `folder`.
    pub fn in_folder(folder: &Path) -> Self {
        let root = repository().join("build/root");
        assert!(
            root.join(".recipe").exists(),
            "{} is not there: run `make root`",
            root.display()
        );
        let host = Host::of_this_run(&root);
        // SAFETY: no precondition.
        let user = unsafe { libc::geteuid() };
        assert_eq!(user, 0, "the host tests make namespaces and need root");
        match fs::remove_dir_all(folder) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                panic!("{}: {error}", folder.display())
            }
            _ => fs::create_dir_all(folder)
                .unwrap_or_else(|error| panic!("{}: {error}", folder.display())),
        }
        let mut holder = Command::new("unshare")
            .args([
                "--net",
                "--mount",
                "--uts",
                "--ipc",
                "--pid",
                "--fork",
                "--kill-child=KILL",
                "--",
                "sh",
                "-c",
                HOLD,
                "lab",
            ])
            .arg(&root)
            .arg(folder)
            .arg(&host.root)
            .arg(tool::folder().unwrap_or_default())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("unshare starts");
        let pipe = holder.stdin.take().expect("piped");
        let mut line = String::new();
        BufReader::new(holder.stdout.take().expect("piped"))
            .read_line(&mut line)
            .expect("the holder can be read");
        assert_eq!(
            line.trim(),
            "held",
            "the namespaces could not be made (see the messages above)"
        );
        let children = format!("/proc/{0}/task/{0}/children", holder.id());
        let first = fs::read_to_string(&children).expect("the holder lives");
        let namespaces = Path::new("/proc").join(first.trim()).join("ns");
        Self {
            folder: folder.to_owned(),
            root,
            host,
            namespaces,
            holder,
            _pipe: pipe,
        }
    }

    /// The test's folder, from outside.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The root, from outside (read-only to programs in the lab).
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The Asterisk that the tests run.
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// Writes a file of the test's folder, with the folders above it.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.folder.join(name);
        fs::create_dir_all(path.parent().expect("below the folder")).expect("a folder can be made");
        fs::write(&path, content).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        path
    }

    /// A file of the test's folder, by its path inside.
    pub fn read(&self, inside: &str) -> Vec<u8> {
        let path = self.folder.join(
            inside
                .strip_prefix(FOLDER)
                .unwrap_or(inside)
                .trim_start_matches('/'),
        );
        fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    /// Starts a program in the lab. Its output goes to `NAME.out` in the test's folder.
    pub fn spawn(&self, name: &str, program: &str, args: &[&str]) -> Process {
        self.spawn_command(name, program, self.command(program, args))
    }

    /// [`Lab::spawn`] of an Asterisk, with these variables (`NAME=VALUE`) and behind the words of a `wrapper`, if there are any.
    pub(crate) fn spawn_asterisk(
        &self,
        name: &str,
        variables: &[String],
        wrapper: &[String],
        args: &[&str],
    ) -> Process {
        let mut command = match wrapper.split_first() {
            None => self.command("asterisk", args),
            Some((program, rest)) => {
                let mut words: Vec<&str> = rest.iter().map(String::as_str).collect();
                words.push(&self.host.program);
                words.extend(args);
                self.command_on(&self.host.root, program, &words)
            }
        };
        command.envs(
            variables
                .iter()
                .filter_map(|variable| variable.split_once('=')),
        );
        self.spawn_command(name, "asterisk", command)
    }

    fn spawn_command(&self, name: &str, program: &str, mut command: Command) -> Process {
        let log = self.folder.join(format!("{name}.out"));
        let out = File::create(&log).unwrap_or_else(|error| panic!("{}: {error}", log.display()));
        command
            .stdin(Stdio::null())
            .stdout(out.try_clone().expect("a file"))
            .stderr(out);
        let child = self.start(&mut command, program);
        Process::new(name, child, log)
    }

    /// Runs a program in the lab to its end. One that hangs is killed.
    pub fn run(&self, program: &str, args: &[&str]) -> Output {
        let mut command = self.command(program, args);
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let child = self.start(&mut command, program);
        let id = child.id();
        let (ended, end) = channel::<()>();
        thread::scope(|scope| {
            scope.spawn(move || {
                if end.recv_timeout(wait::SOON) == Err(RecvTimeoutError::Timeout) {
                    eprintln!(
                        "waited {:?} in vain for the end of {program} {args:?}",
                        wait::SOON
                    );
                    // SAFETY: no memory is involved; the child has not been waited for, so the id is still its own.
                    unsafe { libc::kill(id.cast_signed(), libc::SIGKILL) };
                }
            });
            let output = child.wait_with_output().expect("a child can be waited for");
            drop(ended);
            output
        })
    }

    /// The ends of all logs, for a test that fails.
    fn show_logs(&self) {
        let mut folders = vec![self.folder.clone()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
                let (path, kind) = (entry.path(), entry.file_type());
                if kind.is_ok_and(|kind| kind.is_dir()) {
                    folders.push(path);
                } else if path
                    .extension()
                    .is_some_and(|end| end == "out" || end == "log")
                {
                    let log = fs::read(&path).unwrap_or_default();
                    let end = wait::tail(&String::from_utf8_lossy(&log), LOG_LINES);
                    eprintln!("--- {}\n{end}", path.display());
                }
            }
        }
    }

    /// [`Lab::run`], for what must succeed; its standard output.
    pub fn must_run(&self, program: &str, args: &[&str]) -> String {
        let output = self.run(program, args);
        assert!(
            output.status.success(),
            "{program} {args:?}: {}\n{}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Puts a file of the test's folder over one of every root's, until the test ends.
    pub fn put_over(&self, name: &str, over: &str) {
        let mut roots = vec![&self.root];
        if self.host.root != self.root {
            roots.push(&self.host.root);
        }
        for root in roots {
            let mut command = self.command_on(
                root,
                "mount",
                &["--bind", &format!("{FOLDER}/{name}"), over],
            );
            let child = self.start(&mut command, "mount");
            let output = child.wait_with_output().expect("a child can be waited for");
            assert!(
                output.status.success(),
                "mount over {over} in {}",
                root.display()
            );
        }
    }

    /// A UDP socket on the lab's network.
    pub fn udp(&self, local: &str) -> UdpSocket {
        let local: SocketAddr = local.parse().expect("an address with a port");
        self.on_the_network(move || once_free(|| UdpSocket::bind(local)))
            .unwrap_or_else(|error| panic!("UDP {local}: {error}"))
    }

    /// A TCP connection on the lab's network.
    ///
    /// # Errors
    ///
    /// What connecting said.
    pub fn tcp(&self, peer: &str) -> io::Result<TcpStream> {
        let peer: SocketAddr = peer.parse().expect("an address with a port");
        self.on_the_network(move || TcpStream::connect(peer))
    }

    /// The same from this address of ours.
    ///
    /// # Errors
    ///
    /// What connecting said.
    pub fn tcp_from(&self, local: &str, peer: &str) -> io::Result<TcpStream> {
        let local: SocketAddr = format!("{local}:0").parse().expect("an address");
        let peer: SocketAddr = peer.parse().expect("an address with a port");
        self.on_the_network(move || {
            let socket = Socket::new(Domain::for_address(peer), Type::STREAM, None)?;
            socket.bind(&local.into())?;
            socket.connect(&peer.into())?;
            Ok(socket.into())
        })
    }

    /// A listening TCP socket on the lab's network.
    pub fn listen(&self, local: &str) -> TcpListener {
        let local: SocketAddr = local.parse().expect("an address with a port");
        self.on_the_network(move || once_free(|| TcpListener::bind(local)))
            .unwrap_or_else(|error| panic!("TCP {local}: {error}"))
    }

    /// Calls `make` on a thread of its own that has entered the lab's network. A socket stays on the network that it was
    /// made on.
    ///
    /// # Errors
    ///
    /// There is no such network, or what `make` said.
    pub fn on_the_network<T: Send>(
        &self,
        make: impl FnOnce() -> io::Result<T> + Send,
    ) -> io::Result<T> {
        let net = File::open(self.namespaces.join("net"))?;
        thread::scope(|scope| {
            let made = scope.spawn(|| {
                enter(&net, libc::CLONE_NEWNET)?;
                make()
            });
            made.join().expect("making a socket does not panic")
        })
    }

    /// A command that enters the lab before it becomes `program`: Asterisk's on its own root, others on that of the peers.
    fn command(&self, program: &str, args: &[&str]) -> Command {
        if program != "asterisk" {
            return self.command_on(&self.root, program, args);
        }
        let mut command = self.command_on(&self.host.root, &self.host.program, args);
        if !self.host.libraries.is_empty() {
            command.env("LD_LIBRARY_PATH", &self.host.libraries);
        }
        command
    }

    fn command_on(&self, root: &Path, program: &str, args: &[&str]) -> Command {
        let namespaces: Vec<(File, libc::c_int)> = NAMESPACES
            .iter()
            .map(|(name, kind)| {
                (
                    File::open(self.namespaces.join(name)).expect("the lab is held"),
                    *kind,
                )
            })
            .collect();
        let root =
            std::ffi::CString::new(root.as_os_str().as_encoded_bytes()).expect("a path has no NUL");
        let mut command = Command::new(program);
        command
            .args(args)
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .env("HOME", "/tmp")
            .env("LANG", "C.UTF-8");
        // SAFETY: between fork and exec: only system calls on what was made before the fork; nothing allocates or locks
        // (`io::Error::last_os_error` holds a number).
        unsafe {
            command.pre_exec(move || {
                for (namespace, kind) in &namespaces {
                    enter(namespace, *kind)?;
                }
                if libc::chroot(root.as_ptr()) != 0 || libc::chdir(c"/".as_ptr()) != 0 {
                    return Err(io::Error::last_os_error());
                }
                Ok(())
            });
        }
        command
    }

    /// Spawns into the lab's process tree: a thread enters a PID namespace for its future children alone.
    fn start(&self, command: &mut Command, program: &str) -> Child {
        let inside = File::open(self.namespaces.join("pid")).expect("the lab is held");
        let outside = File::open("/proc/thread-self/ns/pid").expect("procfs");
        enter(&inside, libc::CLONE_NEWPID).expect("the lab's process tree can be entered");
        let child = command.spawn();
        enter(&outside, libc::CLONE_NEWPID).expect("this thread's own process tree can be entered");
        child.unwrap_or_else(|error| panic!("{program} does not start: {error}"))
    }
}

/// Binds an address that another socket of this test has just left. A program that another test is starting holds a copy of
/// that one between its fork and its exec.
fn once_free<T>(bind: impl Fn() -> io::Result<T>) -> io::Result<T> {
    let in_use = |bound: &io::Result<T>| matches!(bound, Err(error) if error.kind() == io::ErrorKind::AddrInUse);
    wait::poll(wait::SOON, || Some(bind()).filter(|bound| !in_use(bound))).unwrap_or_else(bind)
}

fn enter(namespace: &File, kind: libc::c_int) -> io::Result<()> {
    // SAFETY: a descriptor that is open; the call changes this thread (or, after a fork, this process) alone.
    if unsafe { libc::setns(namespace.as_raw_fd(), kind) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

impl Drop for Lab {
    fn drop(&mut self) {
        if thread::panicking() {
            self.show_logs();
        }
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}
