"""`modwright quickstart`: from nothing to a proven model that answers, in one command."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from modwright.cli.app import app
from modwright.cli.serve import ServeOptions, serve
from modwright.settings import Settings, load_settings

if TYPE_CHECKING:
    from modwright.cli.view import RunView
    from modwright.pipeline.quickstart import Quickstart


@app.command("quickstart")
def command(
    no_serve: Annotated[
        bool, typer.Option("--no-serve", help="Stop when the model is trained and proven.")
    ] = False,
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="Port to serve on; 0 takes a free one.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Train on real pairs scored by people, evaluate, and serve: about two minutes on two cores."""
    from modwright.cli.view import print_json, run_view

    settings = load_settings()
    with run_view(quiet=as_json) as view:
        made = quickstart(settings, view)
    if as_json:
        print_json(_summary(made))
    else:
        _show(made, settings, served=not no_serve)
    if not no_serve:
        serve(ServeOptions((f"quickstart={made.trained.folder}",), port=port, jobs=False, as_json=as_json))


def quickstart(settings: Settings, view: RunView) -> Quickstart:
    """Run the whole road and return what it made."""
    from modwright.pipeline.quickstart import quickstart as run

    return run(
        settings,
        on_event=view.on_event,
        progress=view.catalog,
        embedding_progress=view.on_texts,
        scoring_progress=view.on_scored,
    )


def _summary(made: Quickstart) -> dict[str, object]:
    return {
        "artifact": str(made.trained.folder),
        "id": made.trained.artifact.id,
        "data": str(made.data_folder),
        "metrics": str(made.evaluation.metrics),
        "report": str(made.evaluation.report),
        "rows": {name: len(frame) for name, frame in made.dataset.splits.items()},
        "dropped_duplicates": made.pairs.dropped,
    }


def _show(made: Quickstart, settings: Settings, *, served: bool) -> None:
    from modwright.cli.view import print_metrics

    rows = {name: len(frame) for name, frame in made.dataset.splits.items()}
    print(
        f"{made.pairs.rows:,} pairs scored by people, {made.pairs.dropped} duplicates dropped; "
        f"{rows['train']:,} to train on, {rows['test']:,} to test, no prompt on both sides\n"
    )
    print_metrics(made.evaluation.evaluations, made.evaluation.notes)
    print(
        f"\nRead this with care: {rows['test']:,} test rows are few, the intervals in the report are wide, and a label "
        "marked\n'not enough evidence' has proven nothing. It is a start to see the road, not a model to act on.\n"
    )
    print(f"model    {made.trained.folder}  (id {made.trained.artifact.id[:12]})")
    print(f"data     {made.data_folder}")
    print(f"metrics  {made.evaluation.metrics}")
    print(f"report   {made.evaluation.report}  (open it in a browser)")
    if not served:
        from modwright.cli.serve import Ready, curl_line

        ready = Ready(f"http://{settings.host}:{settings.port}", ("quickstart",))
        print(
            f"\nserve it with\n  modwright serve quickstart={made.trained.folder}\nand ask\n  {curl_line(ready)}"
        )
    else:
        print()
