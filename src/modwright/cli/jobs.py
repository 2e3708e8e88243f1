"""`modwright jobs`: train on a server, and watch it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from modwright.cli.app import app
from modwright.cli.job_order import JobOrder, job_options
from modwright.cli.remote import JSON, asked, moment, print_answer, print_answers, print_fields, print_rows

if TYPE_CHECKING:
    from modwright.client import Client, Estimate, Job

jobs_app = typer.Typer(help="Train classifiers on a server.", no_args_is_help=True)
app.add_typer(jobs_app, name="jobs")

_ID = Annotated[str, typer.Argument(metavar="ID", help="The job's id.")]


@jobs_app.command("create")
def create_command(
    model: Annotated[str, typer.Option("--model", help="A recipe, a base, or a hosted model's name.")],
    train: Annotated[
        list[str],
        typer.Option("--train", metavar="FILE_OR_ID[=WEIGHT]", help="File to upload, or id; repeat it."),
    ],
    validation: Annotated[
        list[str] | None,
        typer.Option(
            "--validation", metavar="FILE_OR_ID", help="Held-out rows; else the recipe carves them."
        ),
    ] = None,
    steps: Annotated[int | None, typer.Option("--steps", min=1, help="Steps of the training.")] = None,
    epochs: Annotated[float | None, typer.Option("--epochs", help="How often all rows are seen.")] = None,
    learning_rate: Annotated[
        float | None, typer.Option("--learning-rate", help="The peak of its schedule.")
    ] = None,
    batch_size: Annotated[int | None, typer.Option("--batch-size", min=1, help="Rows of a step.")] = None,
    seed: Annotated[int | None, typer.Option("--seed", min=0, help="Of everything that is drawn.")] = None,
    recipe: Annotated[
        str | None, typer.Option("--recipe", help="A shipped recipe that trains the base, instead.")
    ] = None,
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Override a recipe's value; repeat it."),
    ] = None,
    targets: Annotated[
        list[str] | None,
        typer.Option("--target", metavar="NAME=LABEL,LABEL", help="Declare a target; repeat it."),
    ] = None,
    suffix: Annotated[str | None, typer.Option("--suffix", help="Part of the model's name.")] = None,
    skip: Annotated[
        float, typer.Option("--skip", min=0, max=0.5, help="Share of wrong lines that is left out.")
    ] = 0.0,
    start: Annotated[
        bool, typer.Option("--start/--no-start", help="Train once the files are checked, or wait.")
    ] = True,
    wandb_project: Annotated[
        str | None,
        typer.Option(
            "--wandb-project",
            help="Project of Weights & Biases that is told, with the key in WANDB_API_KEY.",
        ),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what it will take.")] = False,
    as_json: bool = JSON,
) -> None:
    """Create a job; files of this machine are uploaded first."""
    order = JobOrder(
        model=model,
        train=tuple(train),
        validation=tuple(validation or ()),
        steps=steps,
        epochs=epochs,
        learning_rate=learning_rate,
        batch_size=batch_size,
        seed=seed,
        recipe=recipe,
        overrides=tuple(overrides or ()),
        targets=tuple(targets or ()),
        suffix=suffix,
        skip=skip,
        start=start,
        wandb_project=wandb_project,
    )
    with asked() as client:
        made = estimate(order, client, quiet=as_json) if dry_run else create(order, client, quiet=as_json)
    if as_json:
        print_answer(made)
        return
    _tell(made)


def create(order: JobOrder, client: Client, *, quiet: bool = False) -> Job:
    """Upload what an order names by path, and create its job; raises as `job_options` and `Client.jobs.create`."""
    files, options = job_options(order, client, quiet=quiet)
    return client.jobs.create(order.model, files, **options)


def estimate(order: JobOrder, client: Client, *, quiet: bool = False) -> Estimate:
    """Upload what an order names by path, and return what its job would take."""
    files, options = job_options(order, client, quiet=quiet)
    return client.jobs.dry_run(order.model, files, **options)


def _tell(made: Job | Estimate) -> None:
    from modwright.client import Job

    if isinstance(made, Job):
        print(f"created job {made.id}\nnext: modwright jobs watch {made.id}")
        return
    print_fields(
        [
            ("trains", made.details),
            ("steps", "" if made.training_steps is None else f"{made.training_steps:,}"),
            ("epochs", "" if made.epochs is None else f"{made.epochs:.2f}"),
            ("tokens", "" if made.train_tokens is None else f"{made.train_tokens:,}"),
            (
                "duration",
                ""
                if made.expected_duration_seconds is None
                else f"about {made.expected_duration_seconds:,.0f} s",
            ),
            ("cost", f"{made.cost:g} {made.cost_currency or ''}" if made.cost else ""),
        ]
    )


@jobs_app.command("list")
def list_command(
    status: Annotated[str | None, typer.Option("--status", help="Only jobs of this status.")] = None,
    model: Annotated[str | None, typer.Option("--model", help="Only jobs that asked for this.")] = None,
    suffix: Annotated[str | None, typer.Option("--suffix", help="Only jobs of this suffix.")] = None,
    mine: Annotated[bool, typer.Option("--mine", help="Only jobs made with this key.")] = False,
    as_json: bool = JSON,
) -> None:
    """List jobs, newest first."""
    with asked() as client:
        jobs = list(client.jobs.list(status=status, model=model, suffix=suffix, created_by_me=mine))
    if as_json:
        print_answers("jobs", jobs)
        return
    rows = [
        (job.id, job.status, moment(job.created_at), job.model, job.fine_tuned_model or "") for job in jobs
    ]
    print_rows(("id", "status", "created", "model", "trained"), rows)


@jobs_app.command("show")
def show_command(job: _ID, as_json: bool = JSON) -> None:
    """Show one job: what was asked, what it takes, how far it is."""
    from modwright.cli.job_view import job_fields

    with asked() as client:
        found = client.jobs.get(job)
    if as_json:
        print_answer(found)
    else:
        print_fields(job_fields(found))


@jobs_app.command("start")
def start_command(job: _ID) -> None:
    """Train a job that was created with --no-start and is validated."""
    with asked() as client:
        found = client.jobs.start(job)
    print(f"job {found.id} is {found.status}")


@jobs_app.command("cancel")
def cancel_command(job: _ID) -> None:
    """End a job, or have the worker that holds it let go."""
    with asked() as client:
        found = client.jobs.cancel(job)
    print(f"job {found.id} is {found.status}")


@jobs_app.command("logs")
def logs_command(job: _ID, as_json: bool = JSON) -> None:
    """Print what happened in a job, oldest first."""
    from modwright.cli.job_view import event_line

    with asked() as client:
        events = client.jobs.events(job)
    if as_json:
        print_answers("events", events)
        return
    for event in events:
        print(event_line(event))


@jobs_app.command("watch")
def watch_command(
    job: _ID,
    every: Annotated[float, typer.Option("--every", min=0.1, help="Seconds between two looks.")] = 1.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print lines of JSON.")] = False,
) -> None:
    """Show a job live until it has ended or waits for start; leaves with the error of one that failed."""
    with asked() as client:
        found = watch(job, client, every_s=every, as_json=as_json)
    failure = found.failure()
    if failure is not None:
        raise failure
    if as_json:
        return
    if found.fine_tuned_model is not None:
        print(f"trained {found.fine_tuned_model}")
    else:
        print(f"next: modwright jobs start {found.id}")


def watch(job_id: str, client: Client, *, every_s: float = 1.0, as_json: bool = False) -> Job:
    """Show a job until it rests, and return it as it is then; raises as `Client.jobs.watch`."""
    from modwright.cli.job_view import JsonLines, LiveJob, Shown

    shown: Shown = JsonLines() if as_json else LiveJob()
    with shown:
        for update in client.jobs.watch(job_id, every_s=every_s):
            shown.show(update)
    return update.job
