//! Whether the published crates' dependencies allow the rust-version that the workspace states.
//!
//! Only one toolchain is at hand, so nothing is compiled with the old one. Two checks stand in:
//! clippy's `incompatible_msrv` for our own calls of std, and this one for the dependencies'
//! statements.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::cargo::{metadata, text};

const PUBLISHED: [&str; 4] = ["gopark", "gopark-macros", "gopark-stack", "gopark-poller"];

/// Checks every dependency that users of the published crates build.
pub(crate) fn check() -> Result<(), String> {
    let metadata = metadata(&["--filter-platform", "x86_64-unknown-linux-gnu"])?;
    let late = too_late(&metadata)?;
    if late.is_empty() {
        Ok(())
    } else {
        Err(late.join("; "))
    }
}

fn too_late(metadata: &Value) -> Result<Vec<String>, String> {
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let packages: BTreeMap<String, Value> = list(&metadata["packages"])
        .into_iter()
        .map(|p| (text(&p["id"]), p))
        .collect();
    let nodes: BTreeMap<String, Value> = list(&metadata["resolve"]["nodes"])
        .into_iter()
        .map(|n| (text(&n["id"]), n))
        .collect();
    let is_published = |p: &&Value| PUBLISHED.contains(&text(&p["name"]).as_str());
    let roots: Vec<&Value> = packages.values().filter(is_published).collect();
    let ours = roots
        .first()
        .map(|p| text(&p["rust_version"]))
        .ok_or("no published crates")?;
    let mut seen = BTreeSet::new();
    let mut todo: Vec<String> = roots.iter().map(|p| text(&p["id"])).collect();
    while let Some(id) = todo.pop() {
        if !seen.insert(id.clone()) {
            continue;
        }
        for dep in list(&nodes[&id]["deps"]) {
            if list(&dep["dep_kinds"])
                .iter()
                .any(|kind| kind["kind"].is_null())
            {
                todo.push(text(&dep["pkg"]));
            }
        }
    }
    let late = seen.iter().map(|id| &packages[id]).filter(|p| {
        p["rust_version"]
            .as_str()
            .is_some_and(|theirs| version(theirs) > version(&ours))
    });
    Ok(late
        .map(|p| {
            format!(
                "{} wants {}, not {ours}",
                text(&p["name"]),
                text(&p["rust_version"])
            )
        })
        .collect())
}

fn version(text: &str) -> Vec<u32> {
    text.split('.')
        .map(|part| part.parse().unwrap_or(0))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{too_late, version};

    #[test]
    fn a_dependency_that_wants_more_is_named() {
        let metadata = serde_json::json!({
            "packages": [
                {"id": "a", "name": "gopark", "rust_version": "1.88"},
                {"id": "b", "name": "new", "rust_version": "1.95.0"},
                {"id": "c", "name": "dev", "rust_version": "1.99"},
            ],
            "resolve": {"nodes": [
                {"id": "a", "deps": [
                    {"pkg": "b", "dep_kinds": [{"kind": null}]},
                    {"pkg": "c", "dep_kinds": [{"kind": "dev"}]},
                ]},
                {"id": "b", "deps": []},
            ]},
        });
        assert_eq!(too_late(&metadata).unwrap(), ["new wants 1.95.0, not 1.88"]);
    }

    #[test]
    fn versions_compare_by_number() {
        assert!(version("1.100") > version("1.88.1"));
    }
}
