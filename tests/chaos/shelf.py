"""Versions at little cost: a bundle that was logged once is put into other models too, and moved by plain REST."""

from contextlib import suppress
from dataclasses import dataclass

from chaos import raw, worker
from chaos.crew import run_one
from chaos.evidence import Evidence, gather
from chaos.journal import Journal, Operation, read
from chaos.operations import Values, policy_named
from chaos.raw import Told
from chaos.scene import Place, Scene
from lockgate.bundle import manifest
from lockgate.database import policies, versions
from lockgate.database.versions import Registration

STOCK = "stock"


@dataclass(frozen=True)
class Shelf:
    """A scene in which some bundles are logged."""

    scene: Scene

    def fill(self, bundles: int) -> None:
        """Log the first bundles, as versions of a model of their own."""
        place = self.scene.for_problem(STOCK)
        for number in range(1, bundles + 1):
            run_one(worker.one, place, worker.asked(place, f"stock.1-{number}", STOCK, "register", {"bundle": number}))

    def model(self, problem: str) -> "Shelved":
        """A name for a new model, judged by the usual policy; MLflow hears of it with its first version."""
        place = self.scene.for_problem(problem)
        backend = place.backend(problem, "shelf")
        policies.put_in_force(backend.database, backend.model, policy_named(place, problem, "usual"), "shelf")
        return Shelved(self.scene, place, problem)


@dataclass(frozen=True)
class Shelved:
    """A model that is filled from the shelf. Whatever is done to it is written down, as in a run."""

    scene: Scene
    place: Place
    problem: str

    @property
    def name(self) -> str:
        return self.place.params(self.problem).model_name

    def put(self, bundle: int) -> int:
        """A version with this bundle, known to Lockgate as one that was registered."""
        stock = self.place.backend(STOCK, "shelf")
        known = versions.version_of_digest(stock.database, stock.model, self._digest(bundle))
        assert known is not None
        source = self._source(known.version)
        tags = [{"key": "lockgate.bundle_digest", "value": known.bundle_digest}]
        with suppress(Told):  # it is there already
            raw.rest(self.place, "POST", "registered-models/create", name=self.name)
        made = raw.rest(
            self.place, "POST", "model-versions/create",
            name=self.name, source=source, model_id=source.removeprefix("models:/"), run_id=known.run_id, tags=tags,
        )  # fmt: skip
        version = int(made["model_version"]["version"])
        versions.record_version(
            stock.database, Registration(self.name, version, known.bundle_digest, known.run_id, known.lineage)
        )
        return version

    def candidate(self, bundle: int) -> int:
        """A version in Staging, with a passed verdict by the pen against the one that serves now."""
        version = self.put(bundle)
        self.do("judge", version=version, outcome="passed", policy="usual")
        self.do("transition", version=version, stage="Staging", archive=False)
        return version

    def serving(self, bundle: int) -> int:
        """A version in Production, in the place of the one before."""
        version = self.candidate(bundle)
        self.do("transition", version=version, stage="Production", archive=True)
        return version

    def do(self, kind: str, **values: object) -> Operation:
        """One operation in this process; what became of it."""
        asked = self._asked(kind, values)
        worker.do(self.place, Journal(self.place.journals / f"{self.problem}.1.jsonl"), asked)
        return read(self.place.journals, f"{self.problem}.*").operations[asked.id]

    def do_apart(self, kind: str, values: Values, point: str | None = None, name: str = "the-one") -> int:
        """One operation in a process of its own, to be killed at the point; how it ended. Said again it is the same."""
        asked = worker.asked(self.place, f"{self.problem}.2-{name}", self.problem, kind, values)
        return run_one(worker.one, self.place, asked, point)

    def evidence(self) -> Evidence:
        return gather(self.scene, self.name, read(self.place.journals, f"{self.problem}.*"))

    def refused(self, kind: str, **values: object) -> str:
        """The words of a refusal; anything but a refusal is none."""
        operation = self.do(kind, **values)
        assert operation.answer is not None
        return operation.answer.says if operation.outcome == "refused" else f"not refused, but {operation.outcome}"

    def _asked(self, kind: str, values: Values) -> worker.Asked:
        count = len(read(self.place.journals, f"{self.problem}.*").operations)
        return worker.asked(self.place, f"{self.problem}.1-{count + 1}", self.problem, kind, values)

    def _digest(self, bundle: int) -> str:
        return manifest.digest(self.place.builds[bundle - 1].bundle)

    def _source(self, version: int) -> str:
        with self.scene.asking() as connection, connection.cursor() as cursor:
            cursor.execute(
                "SELECT source FROM model_versions WHERE (name, version) = (%s, %s)",
                [self.place.params(STOCK).model_name, version],
            )
            return str(cursor.fetchone()[0])
