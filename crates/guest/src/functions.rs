//! The functions that core modules may import, with their signatures: for engines, which link each
//! in their own way.
//!
//! Each of these macros calls the macro that it is given with what else it is given, the name of
//! the module of rules (which the caller has in scope), and a list. An item of the list is
//! `name(parameter: type, …) -> result => (argument, …);`, where the arguments are those parameters
//! that the function of this name takes, after the call itself.

/// Calls a macro with the functions of [`preview1`](crate::preview1).
#[macro_export]
macro_rules! preview1_functions {
    ($with:ident $($before:tt)*) => {
        $crate::wasi_functions! {
            $with ($($before)* preview1:)
            sock_accept(fd: u32, _: u32, _: u32) -> u32 => (fd);
        }
    };
}

/// Calls a macro with the functions of [`preview0`](crate::preview0).
#[macro_export]
macro_rules! preview0_functions {
    ($with:ident $($before:tt)*) => { $crate::wasi_functions! { $with ($($before)* preview0:) } };
}

/// Calls a macro with the functions that both previews have, and more.
#[doc(hidden)]
#[macro_export]
macro_rules! wasi_functions {
    ($with:ident ($($before:tt)*) $($more:tt)*) => {
        $with! {
            $($before)*
            args_get(pointers: u32, texts: u32) -> u32 => (pointers, texts);
            args_sizes_get(count: u32, bytes: u32) -> u32 => (count, bytes);
            environ_get(pointers: u32, texts: u32) -> u32 => (pointers, texts);
            environ_sizes_get(count: u32, bytes: u32) -> u32 => (count, bytes);

            clock_res_get(id: u32, resolution: u32) -> u32 => (id, resolution);
            clock_time_get(id: u32, _: u64, time: u32) -> u32 => (id, time);

            fd_read(fd: u32, list: u32, count: u32, read: u32) -> u32 => (fd, list, count, read);
            fd_write(fd: u32, list: u32, count: u32, written: u32) -> u32
                => (fd, list, count, written);
            fd_close(fd: u32) -> u32 => (fd);
            fd_renumber(from: u32, to: u32) -> u32 => (from, to);
            fd_fdstat_get(fd: u32, stat: u32) -> u32 => (fd, stat);
            fd_fdstat_set_flags(fd: u32, flags: u32) -> u32 => (fd, flags);
            fd_filestat_get(fd: u32, stat: u32) -> u32 => (fd, stat);
            fd_prestat_get(_: u32, _: u32) -> u32 => ();
            fd_prestat_dir_name(_: u32, _: u32, _: u32) -> u32 => ();
            fd_seek(fd: u32, _: u64, _: u32, _: u32) -> u32 => (fd);
            fd_tell(fd: u32, _: u32) -> u32 => (fd);
            fd_advise(fd: u32, _: u64, _: u64, _: u32) -> u32 => (fd);
            fd_allocate(fd: u32, _: u64, _: u64) -> u32 => (fd);
            fd_pread(fd: u32, _: u32, _: u32, _: u64, _: u32) -> u32 => (fd);
            fd_pwrite(fd: u32, _: u32, _: u32, _: u64, _: u32) -> u32 => (fd);
            fd_datasync(fd: u32) -> u32 => (fd);
            fd_sync(fd: u32) -> u32 => (fd);
            fd_filestat_set_size(fd: u32, _: u64) -> u32 => (fd);
            fd_filestat_set_times(fd: u32, _: u64, _: u64, _: u32) -> u32 => (fd);
            fd_fdstat_set_rights(fd: u32, _: u64, _: u64) -> u32 => (fd);
            fd_readdir(fd: u32, _: u32, _: u32, _: u64, _: u32) -> u32 => (fd);

            path_create_directory(fd: u32, _: u32, _: u32) -> u32 => (fd);
            path_filestat_get(fd: u32, _: u32, _: u32, _: u32, _: u32) -> u32 => (fd);
            path_filestat_set_times(fd: u32, _: u32, _: u32, _: u32, _: u64, _: u64, _: u32) -> u32
                => (fd);
            path_link(fd: u32, _: u32, _: u32, _: u32, _: u32, _: u32, _: u32) -> u32 => (fd);
            path_open(
                fd: u32, _: u32, _: u32, _: u32, _: u32, _: u64, _: u64, _: u32, _: u32
            ) -> u32 => (fd);
            path_readlink(fd: u32, _: u32, _: u32, _: u32, _: u32, _: u32) -> u32 => (fd);
            path_remove_directory(fd: u32, _: u32, _: u32) -> u32 => (fd);
            path_rename(fd: u32, _: u32, _: u32, _: u32, _: u32, _: u32) -> u32 => (fd);
            path_symlink(_: u32, _: u32, fd: u32, _: u32, _: u32) -> u32 => (fd);
            path_unlink_file(fd: u32, _: u32, _: u32) -> u32 => (fd);

            poll_oneoff(subscriptions: u32, events: u32, count: u32, ready: u32) -> u32
                => (subscriptions, events, count, ready);

            proc_exit(code: u32) -> () => (code);
            proc_raise(_: u32) -> u32 => ();
            sched_yield() -> u32 => ();
            random_get(buffer: u32, length: u32) -> u32 => (buffer, length);

            sock_recv(fd: u32, _: u32, _: u32, _: u32, _: u32, _: u32) -> u32 => (fd);
            sock_send(fd: u32, _: u32, _: u32, _: u32, _: u32) -> u32 => (fd);
            sock_shutdown(fd: u32, _: u32) -> u32 => (fd);
            $($more)*
        }
    };
}

/// Calls a macro with those functions of [`outlayer::module`](crate::outlayer::module) that never
/// wait for the snapshot.
#[macro_export]
macro_rules! module_functions {
    ($with:ident $($before:tt)*) => {
        $with! {
            $($before)* module:
            storage_write(key: u32, key_len: u32, value: u32, value_len: u32) -> ()
                => (key, key_len, value, value_len);
            http_read(buffer: u32, capacity: u32) -> u32 => (buffer, capacity);
            context_read(buffer: u32, capacity: u32) -> u32 => (buffer, capacity);
            plan_promise(receiver: u32, receiver_len: u32, after: u32, count: u32) -> u32
                => (receiver, receiver_len, after, count);
            plan_call(
                promise: u32, method: u32, method_len: u32, args: u32, args_len: u32,
                deposit: u32, gas: u64, weight: u64
            ) -> () => (promise, method, method_len, args, args_len, deposit, gas, weight);
            plan_transfer(promise: u32, deposit: u32) -> () => (promise, deposit);
            plan_return(promise: u32) -> () => (promise);
            log(line: u32, length: u32) -> () => (line, length);
            random_fill(buffer: u32, length: u32) -> () => (buffer, length);
        }
    };
}
