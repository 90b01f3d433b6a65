//! Telling the results.
//!
//! Text goes to standard output, unless the JSON goes there: then standard output carries nothing
//! else and the text goes to standard error.

mod budgets;
pub(crate) mod json;
pub(crate) mod ratios;
pub(crate) mod svg;
pub(crate) mod table;

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::facts::Facts;
use crate::measure::{Result, Series};

/// Where the reports go. Files are opened, but not emptied, before the run.
pub(crate) struct Outputs {
    text: Box<dyn Write>,
    json: Option<Target>,
    svg: Option<Target>,
}

/// A file that can be written, or standard output.
enum Target {
    Stdout,
    File { path: PathBuf, file: File },
}

impl Outputs {
    pub(crate) fn open(json: Option<&Path>, svg: Option<&Path>) -> Result<Self> {
        let json = json.map(|path| match path.to_str() {
            Some("-") => Ok(Target::Stdout),
            _ => Target::open(path),
        });
        let json = json.transpose()?;
        let svg = svg.map(Target::open).transpose()?;
        let text: Box<dyn Write> = match json {
            Some(Target::Stdout) => Box::new(io::stderr()),
            _ => Box::new(io::stdout()),
        };
        Ok(Self { text, json, svg })
    }

    pub(crate) fn text(&mut self) -> &mut dyn Write {
        &mut *self.text
    }

    /// Writes the files.
    pub(crate) fn finish(self, series: &[Series], facts: &Facts) -> Result<()> {
        if let Some(target) = self.json {
            target.replace(&json::render(series)?)?;
        }
        if let Some(target) = self.svg {
            target.replace(&svg::render(series, facts)?)?;
        }
        Ok(())
    }
}

impl Target {
    fn open(path: &Path) -> Result<Self> {
        let opened = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .open(path);
        let file = opened.map_err(|error| cannot_write(path, &error))?;
        Ok(Self::File {
            path: path.to_owned(),
            file,
        })
    }

    fn replace(self, content: &str) -> Result<()> {
        match self {
            Self::Stdout => Ok(io::stdout().write_all(content.as_bytes())?),
            Self::File { path, mut file } => {
                // A pipe or a device has no length to set.
                let regular = file.metadata()?.is_file();
                let emptied = if regular { file.set_len(0) } else { Ok(()) };
                let written = emptied.and_then(|()| file.write_all(content.as_bytes()));
                written.map_err(|error| cannot_write(&path, &error).into())
            }
        }
    }
}

fn cannot_write(path: &Path, error: &io::Error) -> String {
    format!("cannot write {}: {error}", path.display())
}

/// A number with about three digits that matter.
pub(crate) fn rounded(value: f64) -> String {
    match value.abs() {
        0.0 => "0".into(),
        small if small < 0.01 => format!("{value:.1e}"),
        small if small < 10.0 => format!("{value:.2}"),
        small if small < 100.0 => format!("{value:.1}"),
        _ => grouped(value),
    }
}

/// A whole number with its thousands apart.
fn grouped(value: f64) -> String {
    let digits = format!("{:.0}", value.abs());
    let mut text = String::from(if value < 0.0 { "-" } else { "" });
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_three_digits() {
        let texts = [0.0, 0.0001, 1.047, 31.26, 999.6, 41_234.0, 1_234_567.0].map(rounded);
        assert_eq!(
            texts,
            [
                "0",
                "1.0e-4",
                "1.05",
                "31.3",
                "1 000",
                "41 234",
                "1 234 567"
            ]
        );
    }

    #[test]
    fn a_path_that_cannot_be_written_is_named() {
        let refused = Outputs::open(Some(Path::new("/nowhere/at/all.json")), None);
        let Err(error) = refused else {
            panic!("opened a file in a directory that is not there")
        };
        assert!(
            error.to_string().contains("/nowhere/at/all.json"),
            "{error}"
        );
    }
}
