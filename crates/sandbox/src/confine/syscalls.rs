//! seccomp: which system calls a child may make. Every other one fails with `EPERM`.

use std::collections::BTreeMap;

use seccompiler::{
    BackendError, BpfProgram, Error, SeccompAction, SeccompCmpArgLen, SeccompCmpOp,
    SeccompCondition, SeccompFilter, SeccompRule, TargetArch, apply_filter,
};

/// Memory, threads, clocks, signals, randomness, itself, and files that are open already.
const ALWAYS: &[i64] = &[
    libc::SYS_brk,
    libc::SYS_madvise,
    libc::SYS_membarrier,
    libc::SYS_memfd_create,
    libc::SYS_mincore,
    libc::SYS_mprotect,
    libc::SYS_mremap,
    libc::SYS_munmap,
    //
    libc::SYS_exit,
    libc::SYS_exit_group,
    libc::SYS_futex,
    libc::SYS_gettid,
    libc::SYS_rseq,
    libc::SYS_sched_getaffinity,
    libc::SYS_sched_yield,
    libc::SYS_set_robust_list,
    //
    libc::SYS_clock_getres,
    libc::SYS_clock_gettime,
    libc::SYS_clock_nanosleep,
    libc::SYS_nanosleep,
    //
    libc::SYS_restart_syscall,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sigaltstack,
    //
    libc::SYS_getrandom,
    libc::SYS_getegid,
    libc::SYS_geteuid,
    libc::SYS_getgid,
    libc::SYS_getpid,
    libc::SYS_getppid,
    libc::SYS_getuid,
    libc::SYS_uname,
    //
    libc::SYS_close,
    libc::SYS_fallocate,
    libc::SYS_fdatasync,
    libc::SYS_flock,
    libc::SYS_fstat,
    libc::SYS_fsync,
    libc::SYS_ftruncate,
    libc::SYS_getdents64,
    libc::SYS_lseek,
    libc::SYS_ppoll,
    libc::SYS_pread64,
    libc::SYS_pwrite64,
    libc::SYS_read,
    libc::SYS_readv,
    libc::SYS_write,
    libc::SYS_writev,
];

/// Files by their path, where Landlock says which. It has no say in who sees that a file is there,
/// and how large it is. Modes and times, in which it has none either, cannot be changed by path.
const FILES: &[i64] = &[
    libc::SYS_linkat,
    libc::SYS_mkdirat,
    libc::SYS_newfstatat,
    libc::SYS_openat,
    libc::SYS_renameat,
    libc::SYS_renameat2,
    libc::SYS_statx,
    libc::SYS_unlinkat,
];

/// The same by the numbers that only the oldest architecture has.
#[cfg(target_arch = "x86_64")]
const OLD_FILES: &[i64] = &[
    libc::SYS_link,
    libc::SYS_lstat,
    libc::SYS_mkdir,
    libc::SYS_open,
    libc::SYS_rename,
    libc::SYS_rmdir,
    libc::SYS_stat,
    libc::SYS_unlink,
];
#[cfg(not(target_arch = "x86_64"))]
const OLD_FILES: &[i64] = &[];

const FORBIDDEN: u32 = libc::EPERM.unsigned_abs();
const UNKNOWN: u32 = libc::ENOSYS.unsigned_abs();

/// Lets this thread, and those that it starts, make only these system calls; those that take a path
/// only `with_files`. Returns true: seccomp holds.
pub(super) fn allow_only(with_files: bool) -> Result<bool, Error> {
    let arch = TargetArch::try_from(std::env::consts::ARCH)?;
    let some = SeccompFilter::new(
        allowed(with_files)?,
        SeccompAction::Errno(FORBIDDEN),
        SeccompAction::Allow,
        arch,
    )?;
    // The flags of `clone3` are out of a filter's sight. Where it is unknown, `clone` is used.
    let no_clone3 = SeccompFilter::new(
        BTreeMap::from([(libc::SYS_clone3, Vec::new())]),
        SeccompAction::Allow,
        SeccompAction::Errno(UNKNOWN),
        arch,
    )?;
    // The first of the two still allows to add the second.
    for filter in [no_clone3, some] {
        apply_filter(&BpfProgram::try_from(filter)?)?;
    }
    Ok(true)
}

fn allowed(with_files: bool) -> Result<BTreeMap<i64, Vec<SeccompRule>>, BackendError> {
    let files = if with_files { [FILES, OLD_FILES] } else { [&[][..], &[]] };
    let plain = [ALWAYS, files[0], files[1], &[libc::SYS_clone3]].concat();
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> =
        plain.into_iter().map(|call| (call, Vec::new())).collect();
    let thread = flag(libc::CLONE_THREAD);
    let (private, sharing) = (flag(libc::MAP_PRIVATE), flag(libc::MAP_TYPE));
    let anonymous = flag(libc::MAP_ANONYMOUS);
    let me = u64::from(std::process::id());
    for (call, argument, operator, value) in [
        // Another thread of this process, and not another process.
        (libc::SYS_clone, 0, SeccompCmpOp::MaskedEq(thread), thread),
        // Memory that counts against the limit on data, or a file.
        (libc::SYS_mmap, 3, SeccompCmpOp::MaskedEq(sharing), private),
        (libc::SYS_mmap, 3, SeccompCmpOp::MaskedEq(anonymous), 0),
        // `abort` sends a signal to this process.
        (libc::SYS_tgkill, 0, SeccompCmpOp::Eq, me),
        // A thread has a name.
        (libc::SYS_prctl, 0, SeccompCmpOp::Eq, flag(libc::PR_SET_NAME)),
        // The time of a file that is open.
        (libc::SYS_utimensat, 1, SeccompCmpOp::Eq, 0),
    ] {
        allow(&mut rules, call, &[(argument, operator, value)])?;
    }
    // The limits of this process can be read.
    let read_own = [(0, SeccompCmpOp::Eq, 0), (2, SeccompCmpOp::Eq, 0)];
    allow(&mut rules, libc::SYS_prlimit64, &read_own)?;
    // What is open, and not who is told when something arrives there.
    for command in [
        libc::F_DUPFD_CLOEXEC,
        libc::F_GETFD,
        libc::F_SETFD,
        libc::F_GETFL,
        libc::F_ADD_SEALS,
        libc::F_GET_SEALS,
    ] {
        allow(&mut rules, libc::SYS_fcntl, &[(1, SeccompCmpOp::Eq, flag(command))])?;
    }
    Ok(rules)
}

/// Adds that a system call is allowed where all of these hold for its arguments.
fn allow(
    rules: &mut BTreeMap<i64, Vec<SeccompRule>>,
    call: i64,
    holds: &[(u8, SeccompCmpOp, u64)],
) -> Result<(), BackendError> {
    let conditions = holds.iter().map(|(argument, operator, value)| {
        SeccompCondition::new(*argument, SeccompCmpArgLen::Qword, operator.clone(), *value)
    });
    let rule = SeccompRule::new(conditions.collect::<Result<_, _>>()?)?;
    rules.entry(call).or_default().push(rule);
    Ok(())
}

fn flag(flag: i32) -> u64 {
    u64::from(flag.unsigned_abs())
}
