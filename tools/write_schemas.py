"""Write the JSON Schemas of scenario and plan files to docs/reference; run it when a model changes."""

from pathlib import Path

from tuner_sipbridge.caller.schema import as_text, schemas


def main() -> None:
    directory = Path(__file__).resolve().parent.parent / "docs" / "reference"
    directory.mkdir(parents=True, exist_ok=True)
    for name, schema in schemas().items():
        (directory / name).write_text(as_text(schema), encoding="utf-8")
        print(f"docs/reference/{name}")


if __name__ == "__main__":
    main()
