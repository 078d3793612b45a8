//! Bytes to text: what else a wrong file may be, named so that a person knows what to do.

use crate::error::ReadError;

/// A plan's file is at most this large.
pub const FILE_BYTES_MAX: usize = 16 * 1024 * 1024;

pub(crate) fn decode(bytes: &[u8]) -> Result<&str, ReadError> {
    if bytes.len() > FILE_BYTES_MAX {
        return Err(ReadError::FileTooLarge { bytes: bytes.len(), limit: FILE_BYTES_MAX });
    }
    if let Some(what) = other_format(bytes) {
        return Err(ReadError::NotPlainText { what });
    }
    let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
    if bytes.contains(&0) {
        if let Some(guess) = utf16_guess(bytes) {
            let offset = bytes.iter().position(|b| *b == 0).unwrap_or_default();
            return Err(ReadError::NotUtf8 { line: line_of(bytes, offset), offset, guess });
        }
        return Err(ReadError::NotPlainText { what: "a binary file" });
    }
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let offset = error.valid_up_to();
        ReadError::NotUtf8 { line: line_of(bytes, offset), offset, guess: eight_bit_guess(bytes) }
    })?;
    let is_stray = |c: char| c.is_control() && !matches!(c, '\t' | '\n' | '\r' | '\x0B' | '\x0C');
    if let Some((offset, c)) = text.char_indices().find(|(_, c)| is_stray(*c)) {
        return Err(ReadError::ControlCharacter { line: line_of(bytes, offset), code: u32::from(c) });
    }
    Ok(text)
}

fn other_format(bytes: &[u8]) -> Option<&'static str> {
    let start = &bytes[..bytes.len().min(1024)];
    let contains = |needle: &[u8]| bytes.windows(needle.len()).any(|window| window == needle);
    match start {
        [b'P', b'K', 3, 4, ..] if contains(b"word/") => Some("a Word document (.docx)"),
        [b'P', b'K', 3, 4, ..] if contains(b"xl/") => Some("an Excel workbook (.xlsx)"),
        [b'P', b'K', 3 | 5, 4 | 6, ..] => Some("a zip archive (.docx, .xlsx, .odt or .zip)"),
        [0xD0, 0xCF, 0x11, 0xE0, ..] => Some("an old Office document (.doc or .xls)"),
        _ if start.starts_with(b"%PDF") => Some("a PDF document"),
        _ if start.starts_with(b"{\\rtf") => Some("a rich text document (.rtf)"),
        _ if start.starts_with(b"\x89PNG") || start.starts_with(b"\xFF\xD8\xFF") => Some("a picture"),
        _ if start.starts_with(&[0x1F, 0x8B]) => Some("a compressed file (.gz)"),
        _ => {
            let head = String::from_utf8_lossy(start)
                .trim_start_matches('\u{feff}')
                .trim_start()
                .to_ascii_lowercase();
            let is_markup = ["<!doctype", "<html", "<?xml"].iter().any(|tag| head.starts_with(tag));
            is_markup.then_some("a web page or XML document")
        }
    }
}

/// A byte order mark, or letters that alternate with NUL.
fn utf16_guess(bytes: &[u8]) -> Option<&'static str> {
    const GUESS: &str = "UTF-16 (\"Unicode\" in older word processors)";
    let sample = &bytes[..bytes.len().min(512)];
    let nuls = |odd: usize| sample.iter().skip(odd).step_by(2).filter(|b| **b == 0).count();
    let (even, odd) = (nuls(0), nuls(1));
    let alternates = even.max(odd) * 5 > sample.len() * 2 && even.min(odd) * 10 < sample.len();
    (sample.starts_with(&[0xFF, 0xFE]) || sample.starts_with(&[0xFE, 0xFF]) || alternates).then_some(GUESS)
}

fn eight_bit_guess(bytes: &[u8]) -> &'static str {
    let high = bytes.iter().filter(|b| **b >= 0x80).count();
    match high * 10 < bytes.len() {
        true => "Windows-1252 (\"ANSI\" or \"Western European\")",
        false => "no text at all, or text in an encoding that is not recognised",
    }
}

fn line_of(bytes: &[u8], offset: usize) -> u32 {
    bytes[..offset].iter().filter(|b| **b == b'\n').count() as u32 + 1
}
