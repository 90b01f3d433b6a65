//! The report as one page: no script, nothing that has to be fetched.

use std::fmt::Write as _;

use super::losses;
use super::verdicts::{self, Verdict};
use super::{charts, curves, method, rows};
use crate::compare::contests::Contest;
use crate::compare::results::{Results, is_ours};
use crate::measure::Result;
use crate::report::rounded;

const STYLE: &str = "\
:root{color-scheme:light dark;--ink:#22262b;--paper:#fff;--line:#d5d9de;--faint:#6b727b;\
--good:#1a7f4b;--bad:#b3261e}\
@media(prefers-color-scheme:dark){:root{--ink:#e6e8eb;--paper:#16181b;--line:#3a3f45;\
--faint:#9aa1a9;--good:#5cc98d;--bad:#ff8a80}}\
body{font:16px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--paper);\
max-width:60rem;margin:0 auto;padding:1rem}\
h2{margin-top:2.5rem;border-top:1px solid var(--line);padding-top:1rem}\
.wide{overflow-x:auto}\
table{border-collapse:collapse;font-variant-numeric:tabular-nums;font-size:.875rem}\
th,td{padding:.2rem .6rem;border-bottom:1px solid var(--line);text-align:right;\
white-space:nowrap}\
th:first-child,td:first-child,td.said{text-align:left}\
td:first-child{white-space:normal;min-width:7rem}\
td.said{white-space:normal;min-width:14rem;max-width:40rem;overflow-wrap:anywhere;\
color:var(--faint)}\
pre{overflow-x:auto;border:1px solid var(--line);padding:.6rem}\
figure{margin:1rem 0;background:#fff;border-radius:.4rem;overflow-x:auto}\
figcaption{color:#6b727b;padding:.4rem .6rem 0;font-size:.875rem}\
.met{color:var(--good);font-weight:600}.missed{color:var(--bad);font-weight:600}\
.note{color:var(--faint)}tr.ours td{font-weight:600}";

pub(super) fn render(results: &Results, date: &str) -> Result<String> {
    let mut out = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>gopark beside its peers</title>\n<style>{STYLE}</style>\n</head>\n<body>\n\
         <h1>gopark beside its peers</h1>\n<p class=\"note\">{}</p>\n<pre>{}</pre>\n",
        escaped(date),
        escaped(&results.machine),
    );
    writeln!(out, "<div class=\"wide\"><table>")?;
    for (peer, version) in &results.versions {
        let (peer, version) = (escaped(peer), escaped(version));
        writeln!(
            out,
            "<tr><td>{peer}</td><td class=\"said\">{version}</td></tr>"
        )?;
    }
    end_table(&mut out)?;
    writeln!(out, "<p>{}</p>", escaped(&method(results)))?;
    budgets(&mut out, results)?;
    lost(&mut out, results)?;
    if results
        .entries
        .iter()
        .any(|entry| entry.contest.workload == "parked")
    {
        writeln!(out, "<h2>Memory of a task that waits</h2>")?;
        figure(
            &mut out,
            "bytes, RSS and page tables; logarithmic",
            &charts::memory(results)?,
        )?;
    }
    for contest in rows::contests(results) {
        section(&mut out, results, contest)?;
    }
    out.push_str("</body>\n</html>\n");
    Ok(out)
}

fn section(out: &mut String, results: &Results, contest: &Contest) -> Result<()> {
    writeln!(out, "<h2>{}</h2>", escaped(contest.name))?;
    writeln!(out, "<p class=\"note\">{}</p>", escaped(contest.note))?;
    let metric = &contest.metrics[0];
    let caption = format!(
        "{}, logarithmic; a bar ends at the median, the thin line spans all samples",
        rows::named(metric)
    );
    figure(out, &caption, &charts::contest(results, contest)?)?;
    for procs in rows::procs(&rows::entries(results, contest)) {
        if let Some(chart) = curves::latencies(results, contest, procs)? {
            let caption = format!(
                "latencies, {}, medians of all samples, logarithmic",
                rows::cores(procs)
            );
            figure(out, &caption, &chart)?;
        }
    }
    entries_table(out, results, contest)
}

/// What happened to a peer stands in place of its numbers, or in a row below them.
fn entries_table(out: &mut String, results: &Results, contest: &Contest) -> Result<()> {
    let header = rows::header(contest);
    // All but the peer and its cores.
    let span = header.len() - 2;
    begin_table(out, &header)?;
    for entry in rows::entries(results, contest) {
        let row = rows::row(results, entry);
        let ours = if is_ours(entry.peer) {
            " class=\"ours\""
        } else {
            ""
        };
        let (peer, cores) = (escaped(row.peer), escaped(&row.cores));
        write!(out, "<tr{ours}><td>{peer}</td><td>{cores}</td>")?;
        for number in &row.numbers {
            write!(out, "<td>{}</td>", escaped(number))?;
        }
        if let Some(failure) = &row.failure {
            if !row.numbers.is_empty() {
                write!(out, "</tr>\n<tr><td></td><td></td>")?;
            }
            let failure = escaped(failure);
            write!(out, "<td class=\"said\" colspan=\"{span}\">{failure}</td>")?;
        }
        writeln!(out, "</tr>")?;
    }
    end_table(out)
}

fn budgets(out: &mut String, results: &Results) -> Result<()> {
    writeln!(out, "<h2>Budgets</h2>")?;
    begin_table(out, &["", "", "value", "must reach", "aim"])?;
    for row in verdicts::all(results) {
        let class = match row.verdict {
            Verdict::Missed => "missed",
            Verdict::Met | Verdict::MetAim => "met",
            Verdict::NotMeasured => "note",
        };
        let aim = row.aim.map_or_else(String::new, |aim| aim.text());
        let [name, value, must, aim] =
            [row.name, &row.value(), &row.must.text(), &aim].map(escaped);
        writeln!(
            out,
            "<tr><td>{name}</td><td class=\"{class}\">{}</td><td>{value}</td><td>{must}</td>\
             <td>{aim}</td></tr>",
            row.verdict.text(),
        )?;
    }
    end_table(out)
}

fn lost(out: &mut String, results: &Results) -> Result<()> {
    writeln!(
        out,
        "<h2>Where gopark needs more than 1.1 times as much</h2>"
    )?;
    let losses = losses::all(results);
    if losses.is_empty() {
        writeln!(out, "<p>Nowhere, beside Go, tokio and may.</p>")?;
    }
    for loss in losses {
        writeln!(
            out,
            "<p><b>{}, {}, {}: {} needs {} times what {} needs</b> ({}–{}). {}</p>",
            escaped(loss.ours.contest.name),
            rows::cores(loss.ours.procs),
            escaped(loss.metric.key),
            escaped(loss.ours.peer),
            rounded(loss.ratio.median),
            escaped(loss.rival),
            rounded(loss.ratio.min),
            rounded(loss.ratio.max),
            escaped(&loss.why),
        )?;
    }
    Ok(())
}

fn figure(out: &mut String, caption: &str, svg: &str) -> Result<()> {
    let caption = escaped(caption);
    Ok(writeln!(
        out,
        "<figure><figcaption>{caption}</figcaption>{svg}</figure>"
    )?)
}

fn begin_table(out: &mut String, header: &[impl AsRef<str>]) -> Result<()> {
    write!(out, "<div class=\"wide\"><table>\n<tr>")?;
    for cell in header {
        write!(out, "<th>{}</th>", escaped(cell.as_ref()))?;
    }
    Ok(writeln!(out, "</tr>")?)
}

fn end_table(out: &mut String) -> Result<()> {
    Ok(writeln!(out, "</table></div>")?)
}

/// For text and for attributes.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '"' => out.push_str("&quot;"),
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_means_something_to_a_page_is_escaped() {
        assert_eq!(escaped("a<b> & \"c\""), "a&lt;b&gt; &amp; &quot;c&quot;");
    }
}
