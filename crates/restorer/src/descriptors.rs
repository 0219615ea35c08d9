//! Makes the dumped process's descriptors again, at their numbers.

use crate::kernel::{self, CLOEXEC, Fd, NONBLOCK, call};
use whipsnake_checkpoint_format::image::{Descriptor, DescriptorKind, Image};
use whipsnake_checkpoint_format::syscall::number;

/// Descriptors that this program needs for a moment have numbers from here.
const OWN: u64 = whipsnake_checkpoint_format::image::MAX_DESCRIPTOR as u64 + 1;

/// Makes them all. One that cannot be made is missing, which the process sees as a closed descriptor.
pub fn make(image: &Image<'static>) {
    for descriptor in image.descriptors() {
        match DescriptorKind::of(descriptor.kind) {
            Some(DescriptorKind::Pair | DescriptorKind::Pipe) => make_pair(image, descriptor),
            Some(kind) => {
                if let Some(made) = make_one(image, kind, descriptor) {
                    place(made, descriptor.number, descriptor.flags);
                }
            }
            None => {}
        }
    }
    for watch in image.watches() {
        #[cfg_attr(target_arch = "x86_64", repr(C, packed))]
        #[cfg_attr(not(target_arch = "x86_64"), repr(C))]
        struct EpollEvent {
            events: u32,
            data: u64,
        }
        const ADD: u64 = 1;
        let event = EpollEvent { events: watch.events as u32, data: watch.data };
        let (epoll, descriptor) = (u64::from(watch.epoll), u64::from(watch.descriptor));
        // SAFETY: the kernel reads the event.
        let _ = unsafe { call(number::EPOLL_CTL, [epoll, ADD, descriptor, (&raw const event) as u64, 0, 0]) };
    }
}

fn make_one(image: &Image<'static>, kind: DescriptorKind, descriptor: &Descriptor) -> Option<Fd> {
    let wait = u64::from(descriptor.flags & NONBLOCK);
    let (first, second, third) =
        (u64::from(descriptor.first), u64::from(descriptor.second), u64::from(descriptor.third));
    // SAFETY: none of these calls touches the restorer's memory, except the pair that `connection` reads.
    let made = unsafe {
        match kind {
            DescriptorKind::File => return open(image, descriptor),
            DescriptorKind::Socket => call(number::SOCKET, [first, second | wait, third, 0, 0, 0]),
            DescriptorKind::Connection => return closed_connection(wait),
            DescriptorKind::Event => call(number::EVENTFD2, [descriptor.value, wait, 0, 0, 0, 0]),
            DescriptorKind::Epoll => call(number::EPOLL_CREATE1, [0; 6]),
            DescriptorKind::Memory => return memory(image, descriptor),
            DescriptorKind::Pair | DescriptorKind::Pipe => return None,
        }
    };
    made.ok().map(Fd::of)
}

fn open(image: &Image<'static>, descriptor: &Descriptor) -> Option<Fd> {
    let file = Fd::open_with(image.text(descriptor.path)?, descriptor.flags)?;
    if descriptor.value != 0 {
        // SAFETY: moves the position of a file.
        let _ = unsafe { call(number::LSEEK, [file.number(), descriptor.value, 0, 0, 0, 0]) };
    }
    Some(file)
}

/// One end of a pair whose other end is closed: reads as an ended connection, so that connection pools connect again.
fn closed_connection(wait: u64) -> Option<Fd> {
    let [one, other] = pair(number::SOCKETPAIR, STREAM | wait)?;
    other.close();
    Some(one)
}

fn memory(image: &Image<'static>, descriptor: &Descriptor) -> Option<Fd> {
    let name = image.text(descriptor.path)?;
    // SAFETY: the name ends with a NUL.
    let file = unsafe { call(number::MEMFD_CREATE, [name.as_ptr() as u64, 0, 0, 0, 0, 0]) }.ok().map(Fd::of)?;
    // SAFETY: the contents are pages of the checkpoint behind the header; `descriptors` are made before its mapping is gone.
    let contents = unsafe {
        crate::program::bytes_at(whipsnake_checkpoint_format::HEADER_ADDRESS + descriptor.value, descriptor.length)
    };
    // SAFETY: the kernel reads the contents.
    let _ = unsafe { call(number::WRITE, [file.number(), contents.as_ptr() as u64, descriptor.length, 0, 0, 0]) };
    // SAFETY: moves the position of a file.
    let _ = unsafe { call(number::LSEEK, [file.number(), u64::from(descriptor.first), 0, 0, 0, 0]) };
    Some(file)
}

/// Both ends, when the lower number of the two is reached.
fn make_pair(image: &Image<'static>, descriptor: &Descriptor) {
    if descriptor.first < descriptor.number {
        return;
    }
    let other = image.descriptors().iter().find(|other| other.number == descriptor.first);
    let flags_of_other = other.map_or(descriptor.flags, |other| other.flags);
    let is_pipe = descriptor.kind == DescriptorKind::Pipe as u32;
    let (make, kind) = if is_pipe { (number::PIPE2, 0) } else { (number::SOCKETPAIR, u64::from(descriptor.second)) };
    let Some([one, other]) = pair(make, kind) else { return };
    let (mine, others) = if is_pipe && descriptor.second == 1 { (other, one) } else { (one, other) };
    // Away from the numbers that the two are to have.
    let (mine, others) = (moved(mine), moved(others));
    // Each end has its own flags.
    for (end, number, flags) in
        [(mine, descriptor.number, descriptor.flags), (others, descriptor.first, flags_of_other)]
    {
        const SET_STATUS: u64 = 4;
        // SAFETY: sets flags.
        let _ = unsafe { call(number::FCNTL, [end.number(), SET_STATUS, u64::from(flags & NONBLOCK), 0, 0, 0]) };
        place(end, number, flags);
    }
}

/// `SOCK_STREAM`.
const STREAM: u64 = 1;

/// The two descriptors that `pipe2` makes with these flags, or `socketpair` with this type.
fn pair(call_number: u64, flags: u64) -> Option<[Fd; 2]> {
    const UNIX: u64 = 1;
    let mut made = [0_u32; 2];
    let into = made.as_mut_ptr() as u64;
    let arguments = if call_number == number::PIPE2 { [into, flags, 0, 0, 0, 0] } else { [UNIX, flags, 0, into, 0, 0] };
    // SAFETY: the kernel writes two numbers.
    unsafe { call(call_number, arguments) }.ok()?;
    Some(made.map(|made| Fd::of(u64::from(made))))
}

/// The same file under a number that no descriptor of the process has.
fn moved(file: Fd) -> Fd {
    const DUPLICATE: u64 = 0;
    // SAFETY: makes a descriptor.
    let duplicate = unsafe { call(number::FCNTL, [file.number(), DUPLICATE, OWN, 0, 0, 0]) };
    match duplicate {
        Ok(duplicate) => {
            file.close();
            Fd::of(duplicate)
        }
        Err(_) => file,
    }
}

/// Gives a file its number.
fn place(file: Fd, wanted: u32, flags: u32) {
    const SET_FLAGS: u64 = 2;
    let (wanted, on_exec) = (u64::from(wanted), flags & CLOEXEC);
    // SAFETY: the number is the process's own, and nothing of this program has it.
    unsafe {
        if file.number() == wanted {
            let _ = call(number::FCNTL, [wanted, SET_FLAGS, u64::from(on_exec != 0), 0, 0, 0]);
        } else {
            let _ = call(number::DUP3, [file.number(), wanted, u64::from(on_exec), 0, 0, 0]);
            kernel::Fd::close(file);
        }
    }
}
