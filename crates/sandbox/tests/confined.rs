//! Tries from inside of a child what a child must not do.
//!
//! This program starts itself again for each attempt, once confined and once free: what fails when
//! it is confined must not fail for the same reason when it is free.
#![allow(clippy::unwrap_used, clippy::cast_possible_wrap)]

mod runner;

use std::{
    ffi::CString,
    fs,
    io::{self, Write as _},
    net::{TcpListener, TcpStream, UdpSocket},
    os::unix::{
        fs::PermissionsExt as _,
        net::{UnixListener, UnixStream},
    },
    path::{Path, PathBuf},
    process::{Command, ExitCode, Output},
};

use outlayer_sandbox::confine;
use rustix::process::{Pid, Resource, Rlimit, getppid, setrlimit, test_kill_process};

/// Chooses the signal that says that something can be read.
const F_SETSIG: libc::c_int = 10;

/// An attempt, given the child's folder.
type Attempt = fn(&Path) -> io::Result<()>;

/// Everything that a child must not do.
const FORBIDDEN: &[(&str, Attempt)] = &[
    ("read a file", |_| fs::read("/etc/passwd").map(drop)),
    ("change a mode", |folder| fs::set_permissions(folder, fs::Permissions::from_mode(0o700))),
    ("change a time by path", |folder| {
        let path = CString::new(theirs(folder).as_os_str().as_encoded_bytes())?;
        // SAFETY: the path ends with a zero, and no times are given.
        #[allow(unsafe_code)]
        let result = unsafe { libc::utimensat(libc::AT_FDCWD, path.as_ptr(), std::ptr::null(), 0) };
        if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }),
    ("have a signal sent by a socket", |_| fcntl(libc::F_SETOWN, std::process::id())),
    ("choose the signal of a socket", |_| fcntl(F_SETSIG, 0)),
    ("share memory that no limit counts", |_| {
        let flags = libc::MAP_SHARED | libc::MAP_ANONYMOUS;
        // SAFETY: new memory that nobody uses.
        #[allow(unsafe_code)]
        let memory =
            unsafe { libc::mmap(std::ptr::null_mut(), 4_096, libc::PROT_READ, flags, -1, 0) };
        if memory == libc::MAP_FAILED { Err(io::Error::last_os_error()) } else { Ok(()) }
    }),
    ("list a folder", |_| fs::read_dir("/").map(drop)),
    ("write a file outside", |folder| fs::write(beside(folder), b"x")),
    ("leave the folder by a link", |folder| {
        let link = folder.join("link");
        // It may be there from the free attempt.
        let _ = std::os::unix::fs::symlink("/etc/passwd", &link);
        fs::read(link).map(drop)
    }),
    ("link a file outside into the folder", |folder| {
        let link = folder.join("theirs");
        let _ = fs::remove_file(&link);
        fs::hard_link(theirs(folder), link)
    }),
    ("move a file outside into the folder", |folder| {
        fs::rename(theirs(folder), folder.join("moved"))?;
        fs::rename(folder.join("moved"), theirs(folder))
    }),
    ("read the parent's memory", |_| fs::File::open(of_parent("mem")).map(drop)),
    ("read the parent's environment", |_| fs::read(of_parent("environ")).map(drop)),
    ("list the parent's files", |_| fs::read_dir(of_parent("fd")).map(drop)),
    ("connect to a TCP port", |_| {
        let port = std::env::var("PORT").map_err(io::Error::other)?;
        TcpStream::connect(format!("127.0.0.1:{port}")).map(drop)
    }),
    ("listen on a TCP port", |_| TcpListener::bind("127.0.0.1:0").map(drop)),
    ("open a UDP socket", |_| UdpSocket::bind("127.0.0.1:0").map(drop)),
    ("open a pair of sockets", |_| UnixStream::pair().map(drop)),
    ("listen on a path", |folder| {
        let path = folder.join("socket");
        let _ = fs::remove_file(&path);
        UnixListener::bind(path).map(drop)
    }),
    ("start a program", |_| Command::new("/bin/true").status().map(drop)),
    ("signal the parent", |_| Ok(test_kill_process(getppid().unwrap_or(Pid::INIT))?)),
    ("change a limit", |_| {
        let most = Rlimit { current: Some(0), maximum: Some(0) };
        Ok(setrlimit(Resource::Core, most)?)
    }),
];

/// System calls that no child needs, each with arguments that do no harm. Free, they fail in
/// another way or succeed.
const SYSTEM_CALLS: &[(&str, libc::c_long, [libc::c_long; 4])] = &[
    ("socket", libc::SYS_socket, [libc::AF_INET as libc::c_long, 99, 0, 0]),
    ("socketpair", libc::SYS_socketpair, [99, 0, 0, 0]),
    ("connect", libc::SYS_connect, [0, 0, 0, 0]),
    ("sendto", libc::SYS_sendto, [-1, 0, 0, 0]),
    ("sendmsg", libc::SYS_sendmsg, [-1, 0, 0, 0]),
    ("recvmsg", libc::SYS_recvmsg, [-1, 0, 0, 0]),
    ("execve", libc::SYS_execve, [0, 0, 0, 0]),
    ("execveat", libc::SYS_execveat, [-1, 0, 0, 0]),
    // Without CLONE_THREAD, and with flags that contradict each other.
    (
        "clone",
        libc::SYS_clone,
        [
            libc::CLONE_VM as i64
                | libc::CLONE_SIGHAND as i64
                | libc::CLONE_FS as i64
                | libc::CLONE_NEWNS as i64,
            0,
            0,
            0,
        ],
    ),
    ("clone3", libc::SYS_clone3, [0, 0, 0, 0]),
    ("kill", libc::SYS_kill, [0, 99, 0, 0]),
    ("tkill", libc::SYS_tkill, [-1, 0, 0, 0]),
    ("tgkill of another process", libc::SYS_tgkill, [-1, 1, 0, 0]),
    ("rt_sigqueueinfo", libc::SYS_rt_sigqueueinfo, [-1, 0, 0, 0]),
    ("pidfd_open", libc::SYS_pidfd_open, [-1, 0, 0, 0]),
    ("pidfd_getfd", libc::SYS_pidfd_getfd, [-1, 0, 0, 0]),
    ("pidfd_send_signal", libc::SYS_pidfd_send_signal, [-1, 0, 0, 0]),
    ("ptrace", libc::SYS_ptrace, [99, 0, 0, 0]),
    ("process_vm_readv", libc::SYS_process_vm_readv, [-1, 0, 0, 0]),
    ("process_vm_writev", libc::SYS_process_vm_writev, [-1, 0, 0, 0]),
    ("process_madvise", libc::SYS_process_madvise, [-1, 0, 0, 0]),
    ("prctl", libc::SYS_prctl, [99_999, 0, 0, 0]),
    ("prlimit64 of another process", libc::SYS_prlimit64, [-1, 0, 0, 0]),
    ("io_uring_setup", libc::SYS_io_uring_setup, [0, 0, 0, 0]),
    ("userfaultfd", libc::SYS_userfaultfd, [-1, 0, 0, 0]),
    ("add_key", libc::SYS_add_key, [0, 0, 0, 0]),
    ("keyctl", libc::SYS_keyctl, [99, 0, 0, 0]),
    ("name_to_handle_at", libc::SYS_name_to_handle_at, [-1, 0, 0, 0]),
    ("ioctl", libc::SYS_ioctl, [-1, 0, 0, 0]),
    ("symlinkat", libc::SYS_symlinkat, [0, 0, 0, 0]),
    ("mknodat", libc::SYS_mknodat, [-1, 0, 0, 0]),
    ("setuid", libc::SYS_setuid, [-1, 0, 0, 0]),
    ("unshare", libc::SYS_unshare, [-1, 0, 0, 0]),
    ("setns", libc::SYS_setns, [-1, 0, 0, 0]),
    ("personality", libc::SYS_personality, [0xffff_ffff, 0, 0, 0]),
    ("shmget", libc::SYS_shmget, [0, -1, 0, 0]),
    ("mq_open", libc::SYS_mq_open, [0, 0, 0, 0]),
    ("splice", libc::SYS_splice, [-1, 0, 0, 0]),
    ("pipe2", libc::SYS_pipe2, [0, 0, 0, 0]),
    ("dup3", libc::SYS_dup3, [-1, 0, 0, 0]),
    ("inotify_init1", libc::SYS_inotify_init1, [-1, 0, 0, 0]),
];

/// What a child needs.
const ALLOWED: &[(&str, Attempt)] = &[
    ("write, read, rename and remove in its folder", |folder| {
        let (one, two) = (folder.join("one"), folder.join("two"));
        fs::write(&one, b"content")?;
        fs::rename(&one, &two)?;
        let content = fs::read(&two)?;
        fs::remove_file(two)?;
        if content == b"content" { Ok(()) } else { Err(io::Error::other("other content")) }
    }),
    ("make a folder in its folder", |folder| {
        let inner = folder.join("inner");
        fs::create_dir(&inner)?;
        fs::remove_dir(inner)
    }),
    ("start threads", |_| {
        let named = std::thread::Builder::new().name("a-thread".to_owned());
        named.spawn(|| 7)?.join().map(drop).map_err(|_| io::Error::other("panicked"))
    }),
    ("write to its standard error", |_| io::stderr().write_all(b"")),
];

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().collect();
    match args.get(1).map(String::as_str) {
        Some("attempt") => attempt(args[2] == "confined", &args[3], &PathBuf::from(&args[4])),
        _ => runner::run(&[
            ("what is forbidden fails", forbidden),
            ("forbidden system calls fail", system_calls),
            ("what is needed works", allowed),
            ("a child ends itself by a signal", abort),
        ]),
    }
}

/// The exit code where the kernel has not got what the attempt is about.
const LESS: u8 = 3;

/// Makes one attempt, and exits with 0 when it succeeded, 1 when it was not permitted, and 2 when
/// it failed in another way.
fn attempt(confined: bool, name: &str, folder: &Path) -> ExitCode {
    if confined {
        let means = confine(&[folder.to_owned()]).unwrap();
        if !means.is_full() {
            println!("this kernel does not have everything: {means:?}");
            return ExitCode::from(LESS);
        }
    }
    if name == "abort" {
        std::process::abort();
    }
    let known = FORBIDDEN.iter().chain(ALLOWED).find(|(known, _)| *known == name);
    let result = match known {
        Some((_, attempt)) => attempt(folder),
        None => {
            let (_, call, [a, b, c, d]) =
                SYSTEM_CALLS.iter().find(|(known, ..)| *known == name).unwrap();
            // SAFETY: none of the calls in the list writes to this process's memory with these
            // arguments: their pointers are null, and most descriptors and ids do not exist.
            #[allow(unsafe_code)]
            let result = unsafe { libc::syscall(*call, *a, *b, *c, *d, 0, 0) };
            if result == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            match error.raw_os_error() {
                Some(libc::EPERM | libc::EACCES | libc::ENOSYS | libc::EXDEV) => ExitCode::from(1),
                _ => ExitCode::from(2),
            }
        }
    }
}

/// What came of an attempt; `None` on a kernel that has not got the means.
fn tried(means: &str, name: &str, folder: &Path) -> Option<Output> {
    let port = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["attempt", means, name]).arg(folder);
    child.env("PORT", port.local_addr().unwrap().port().to_string());
    let output = child.output().unwrap();
    (output.status.code() != Some(LESS.into())).then_some(output)
}

fn forbidden() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(theirs(folder.path()), b"theirs").unwrap();
    for (name, _) in FORBIDDEN {
        let Some(free) = tried("free", name, folder.path()) else { return };
        assert_eq!(free.status.code(), Some(0), "free: {name}: {free:?}");
        let _ = fs::remove_file(beside(folder.path()));
        let Some(confined) = tried("confined", name, folder.path()) else {
            println!("not tried, the kernel has less: {name}");
            return;
        };
        assert_eq!(confined.status.code(), Some(1), "confined: {name}: {confined:?}");
    }
    let _ = fs::remove_file(beside(folder.path()));
    fs::remove_file(theirs(folder.path())).unwrap();
}

fn system_calls() {
    let folder = tempfile::tempdir().unwrap();
    for (name, ..) in SYSTEM_CALLS {
        let Some(free) = tried("free", name, folder.path()) else { return };
        assert_ne!(free.status.code(), Some(1), "free: {name}: {free:?}");
        let Some(confined) = tried("confined", name, folder.path()) else {
            println!("not tried, the kernel has less: {name}");
            return;
        };
        assert_eq!(confined.status.code(), Some(1), "confined: {name}: {confined:?}");
    }
}

fn allowed() {
    let folder = tempfile::tempdir().unwrap();
    for (name, _) in ALLOWED {
        let Some(confined) = tried("confined", name, folder.path()) else {
            println!("not tried, the kernel has less: {name}");
            return;
        };
        assert_eq!(confined.status.code(), Some(0), "{name}: {confined:?}");
    }
}

fn abort() {
    use std::os::unix::process::ExitStatusExt as _;
    let folder = tempfile::tempdir().unwrap();
    let Some(ended) = tried("confined", "abort", folder.path()) else { return };
    assert_eq!(ended.status.signal(), Some(libc::SIGABRT), "{ended:?}");
}

/// A command about the standard input.
fn fcntl(command: libc::c_int, argument: u32) -> io::Result<()> {
    // SAFETY: the commands that are tried take a number.
    #[allow(unsafe_code)]
    let result = unsafe { libc::fcntl(0, command, argument) };
    if result == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// A file beside `folder`, outside of it.
fn beside(folder: &Path) -> PathBuf {
    folder.with_extension("outside")
}

/// A file that somebody else has beside `folder`.
fn theirs(folder: &Path) -> PathBuf {
    folder.with_extension("theirs")
}

fn of_parent(what: &str) -> String {
    format!("/proc/{}/{what}", getppid().unwrap_or(Pid::INIT).as_raw_nonzero())
}
