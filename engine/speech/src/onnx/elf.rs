//! A look at a shared library before the system maps it: one that was cut short ends the whole
//! process (SIGBUS) when the loader reaches for what is missing.

use std::{
    fs::File,
    io::{self, ErrorKind, Read as _, Seek as _, SeekFrom},
    path::Path,
};

const MAGIC: &[u8] = b"\x7fELF";
const CLASS_64: u8 = 2;
const LITTLE_ENDIAN: u8 = 1;
/// Offsets of fields of the 64-bit header (System V ABI, "ELF Header"), and its length.
const E_PHOFF: usize = 0x20;
const E_PHENTSIZE: usize = 0x36;
const E_PHNUM: usize = 0x38;
const HEADER_LEN: usize = 0x40;
/// The same of a program header.
const P_TYPE: usize = 0x00;
const P_OFFSET: usize = 0x08;
const P_FILESZ: usize = 0x20;
const PROGRAM_HEADER_LEN: usize = 0x38;
/// A segment that is mapped.
const PT_LOAD: u32 = 1;

/// Checks that every segment that would be mapped is in the file. Other formats than 64-bit
/// little-endian ELF are left to the system.
///
/// # Errors
///
/// If the file cannot be read, or is cut short.
pub(super) fn check(path: &Path) -> io::Result<()> {
    let mut file = File::open(path)?;
    let about = file.metadata()?;
    if !about.is_file() {
        return Err(io::Error::new(ErrorKind::InvalidInput, "it is not a file"));
    }
    let cut_short = || io::Error::new(ErrorKind::UnexpectedEof, "the file is cut short");
    let mut header = [0; HEADER_LEN];
    match file.read_exact(&mut header) {
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Err(cut_short()),
        read => read?,
    }
    if !header.starts_with(MAGIC) || header[4] != CLASS_64 || header[5] != LITTLE_ENDIAN {
        return Ok(());
    }
    let stride = u64::from(u16_at(&header, E_PHENTSIZE));
    for index in 0..u64::from(u16_at(&header, E_PHNUM)) {
        let at = u64_at(&header, E_PHOFF).saturating_add(index * stride);
        file.seek(SeekFrom::Start(at)).map_err(|_| cut_short())?;
        let mut program = [0; PROGRAM_HEADER_LEN];
        file.read_exact(&mut program).map_err(|_| cut_short())?;
        let end = u64_at(&program, P_OFFSET).saturating_add(u64_at(&program, P_FILESZ));
        if u32_at(&program, P_TYPE) == PT_LOAD && end > about.len() {
            return Err(cut_short());
        }
    }
    Ok(())
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes(array_at(bytes, at))
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(array_at(bytes, at))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(array_at(bytes, at))
}

/// The field at `at`, which lies within the header.
fn array_at<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    bytes[at..at + N]
        .try_into()
        .expect("N bytes make an array of N")
}

#[cfg(test)]
#[cfg(all(target_os = "linux", target_pointer_width = "64"))]
mod tests {
    use super::*;

    /// A 64-bit ELF file that is on every Linux: this test itself.
    fn own_bytes() -> Vec<u8> {
        std::fs::read(std::env::current_exe().unwrap()).unwrap()
    }

    fn checked(bytes: &[u8]) -> io::Result<()> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("library.so");
        std::fs::write(&path, bytes).unwrap();
        check(&path)
    }

    #[test]
    fn a_whole_file_passes_and_a_part_of_it_does_not() {
        let whole = own_bytes();
        checked(&whole).unwrap();
        // All that is mapped lies in the first nine tenths or so: symbols and debug data follow.
        for len in [0, 3, 0x3f, 0x40, 0x100, 0x2000, whole.len() / 100] {
            let error = checked(&whole[..len]).unwrap_err();
            assert_eq!(error.to_string(), "the file is cut short", "{len}");
        }
    }

    #[test]
    fn damaged_headers_are_no_reason_to_panic() {
        let mut header = own_bytes()[..0x400].to_vec();
        for at in 0x10..HEADER_LEN {
            for value in [0x00, 0x7f, 0xff] {
                let was = std::mem::replace(&mut header[at], value);
                let _ = checked(&header);
                header[at] = was;
            }
        }
    }

    #[test]
    fn what_is_not_elf_is_left_to_the_system() {
        checked(&[b'x'; 100]).unwrap();
        let missing = check(Path::new("/no/such/file")).unwrap_err();
        assert_eq!(missing.kind(), ErrorKind::NotFound);
        let folder = check(Path::new("/")).unwrap_err().to_string();
        assert_eq!(folder, "it is not a file");
    }
}
