//! C code whose frames have no stack probes, compiled when a test asks for it.

#![expect(unsafe_code, reason = "loads a library and calls it")]

use std::ffi::{CString, c_char, c_int, c_long, c_void};
use std::path::Path;
use std::process::Command;
use std::ptr::NonNull;

/// In which order a frame is filled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum Order {
    /// From its lowest byte.
    Up = 0,
    /// From its highest byte.
    Down = 1,
    /// From both ends.
    Ends = 2,
    /// Its lowest byte is all that is touched.
    LowEnd = 3,
}

type Inside = extern "C" fn(*mut c_void, *mut c_char, usize);
type Frame = unsafe extern "C" fn(usize, c_int, Option<Inside>, *mut c_void) -> c_long;
type Fill = unsafe extern "C" fn(*mut c_char, usize);
type Lent = unsafe extern "C" fn(usize, Inside, *mut c_void) -> c_long;

/// The functions of `tests/it/frames.c`, as one compiler makes them.
#[derive(Clone, Copy, Debug)]
pub struct Frames {
    /// Which compiler that was.
    pub compiler: &'static str,
    frame: Frame,
    fill: Fill,
    lent: Lent,
}

impl Frames {
    /// One for each C compiler of gcc and clang that is here; the library is made in `folder`.
    ///
    /// # Panics
    /// When a compiler that is here does not compile the file.
    pub fn all(folder: &str) -> Vec<Frames> {
        let all = ["gcc", "clang"].map(|compiler| Frames::compile(compiler, folder));
        all.into_iter().flatten().collect()
    }

    fn compile(compiler: &'static str, folder: &str) -> Option<Frames> {
        let library = Path::new(folder).join(format!("frames-{compiler}-{}", std::process::id()));
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("it/frames.c");
        let mut command = Command::new(compiler);
        command.args(["-O1", "-shared", "-fPIC", "-fno-stack-clash-protection"]);
        let output = match command.arg(source).arg("-o").arg(&library).output() {
            Ok(output) => output,
            Err(error) => {
                println!("left out: {compiler} is not here ({error})");
                return None;
            }
        };
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{compiler}: {text}");
        let path = CString::new(library.to_str().expect("a path of text")).expect("no zero");
        // SAFETY: a library of functions that run nothing when they are loaded.
        let handle = unsafe { libc::dlopen(path.as_ptr(), libc::RTLD_NOW) };
        let handle = NonNull::new(handle).expect("the library can be loaded");
        let _ = std::fs::remove_file(&library);
        let symbol = |name: &std::ffi::CStr| {
            // SAFETY: the library stays loaded.
            let symbol = unsafe { libc::dlsym(handle.as_ptr(), name.as_ptr()) };
            NonNull::new(symbol).expect("the library has it").as_ptr()
        };
        // SAFETY: the function of this name in the source has this type.
        let frame = unsafe { std::mem::transmute::<*mut c_void, Frame>(symbol(c"frame")) };
        // SAFETY: likewise.
        let fill = unsafe { std::mem::transmute::<*mut c_void, Fill>(symbol(c"fill")) };
        // SAFETY: likewise.
        let lent = unsafe { std::mem::transmute::<*mut c_void, Lent>(symbol(c"lent")) };
        Some(Frames {
            compiler,
            frame,
            fill,
            lent,
        })
    }

    /// Calls `inside` while a frame of `len` bytes lives, which was filled in this order: bytes of
    /// it that have changed then.
    pub fn frame(&self, len: usize, order: Order, mut inside: impl FnMut()) -> i64 {
        extern "C" fn call<F: FnMut()>(arg: *mut c_void, _: *mut c_char, _: usize) {
            // SAFETY: the closure of the caller, which waits.
            unsafe { (*arg.cast::<F>())() }
        }
        fn of<F: FnMut()>(_: &F) -> Inside {
            call::<F>
        }
        let callback = of(&inside);
        // SAFETY: the callback fits the closure, which lives until this returns.
        unsafe {
            (self.frame)(
                len,
                order as c_int,
                Some(callback),
                (&raw mut inside).cast(),
            )
        }
    }

    /// Hands an untouched frame of `len` bytes to `inside`, which is to [fill](Frames::fill) it:
    /// bytes that are not as they should be then.
    pub fn lent(&self, len: usize, mut inside: impl FnMut(Bytes)) -> i64 {
        extern "C" fn call<F: FnMut(Bytes)>(arg: *mut c_void, at: *mut c_char, len: usize) {
            // SAFETY: the closure of the caller, which waits.
            unsafe { (*arg.cast::<F>())(Bytes { at, len }) }
        }
        fn of<F: FnMut(Bytes)>(_: &F) -> Inside {
            call::<F>
        }
        let callback = of(&inside);
        // SAFETY: the callback fits the closure, which lives until this returns.
        unsafe { (self.lent)(len, callback, (&raw mut inside).cast()) }
    }

    /// Fills a frame, on whatever thread or stack.
    pub fn fill(&self, bytes: Bytes) {
        // SAFETY: the frame lives while its function waits for the callback.
        unsafe { (self.fill)(bytes.at, bytes.len) }
    }
}

/// The bytes of a frame that somebody else may fill.
#[derive(Clone, Copy, Debug)]
pub struct Bytes {
    at: *mut c_char,
    len: usize,
}

// SAFETY: plain bytes, which one thread at a time is given.
unsafe impl Send for Bytes {}
