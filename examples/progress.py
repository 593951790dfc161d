"""Reports on the way: one when a worker has the task, one when it starts, and the final one.

Shows: `with_options`, which keeps the types, `Result.reports`, and how a failed task looks from the caller's side.
"""

from __future__ import annotations

from typeddingo import App, Result

app = App("local")


@app.task
def parse(text: str) -> int:
    return int(text)


def follow(result: Result[int]) -> None:
    """Print every report as it arrives; the last one carries the value or the error."""
    for report in result.reports():
        if report.ok:
            print(f"{report.status.name}: {report.value}")
        elif report.error is not None:
            print(f"{report.status.name}: {report.error.exception_type}: {report.error.message}")
        else:
            print(report.status.name)


def main() -> None:
    watched = parse.with_options(monitor_progress=True)
    with app:
        follow(watched.call("42"))
        follow(watched.call("forty-two"))
        follow(parse.call("7"))  # without the option there is the final report only


if __name__ == "__main__":
    main()
