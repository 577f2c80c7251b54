"""The sections of a suite file as pydantic models, and pydantic's errors as sentences that fit a YAML file.

Strict: neither a bool nor a text is a number, and an unknown key is an error. What needs the registry (whether a
variant exists, whether it has an option) is in `names`.
"""

from functools import cached_property
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, WithJsonSchema
from pydantic_core import ErrorDetails, PydanticCustomError

from .issues import Issues, Problem, quote, show_value

T = TypeVar("T")
M = TypeVar("M", bound=BaseModel)

MAX_SEEDS = 10_000
MAX_SEED = 2**32 - 1  #: the seeds of NumPy's legacy generators end here


def as_tuple(value: Any) -> Any:
    """A YAML list as a tuple, so that validated values cannot change; any other value unchanged."""
    return tuple(value) if isinstance(value, list) else value


MOST_CLAIMS = 100  #: of a suite: each is held against all cells when the file is loaded
MOST_ITEMS = 100  #: of an option that is a list: it is hashed in the id of every cell
Items = Annotated[tuple[T, ...], BeforeValidator(as_tuple)]
Text = Annotated[str, Field(min_length=1)]
Positive = Annotated[int, Field(ge=1)]
#: A component: its name, or a mapping of its name and options; `json_schema` fills in its JSON Schema
Dataset = Annotated[Any, WithJsonSchema({"component": "datasets"})]
Variant = Annotated[Any, WithJsonSchema({"component": "variants"})]
Net = Annotated[Any, WithJsonSchema({"component": "nets"})]
Likelihood = Annotated[Any, WithJsonSchema({"component": "likelihoods"})]
Sampler = Annotated[str, WithJsonSchema({"component": "samplers"})]
Metric = Annotated[str, WithJsonSchema({"component": "metrics"})]
#: What a claim expects: read by `expectations`, checked against the cells by `claims`
Expect = Annotated[dict[str, Any], Field(min_length=1), WithJsonSchema({"component": "expect"})]


class Section(BaseModel):
    """Base of all sections: frozen, strict, no unknown key, no NaN."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class Train(Section):
    """The training budget: everything that changes the weights of a cell, apart from its seed.

    A suite has one under `train`. A block of the grid may have a `train` of its own, which replaces single values of
    the suite's for the cells of that block, so that nets of different cost may have different budgets.
    """

    epochs: Positive = 20
    batch_size: Positive = 128
    optimizer: Literal["adam", "adamw", "sgd", "rmsprop"] = "adam"
    lr: Annotated[float, Field(gt=0, description="learning rate")] = 1e-3
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    schedule: Literal["constant", "cosine"] = "constant"
    grad_clip: Annotated[float, Field(gt=0, description="largest gradient norm, per seed")] | None = None
    precision: Literal["fp32", "tf32", "bf16"] = "fp32"
    train_images: Annotated[int, Field(ge=1, description="only the first of them")] | None = None

    @cached_property
    def content(self) -> dict[str, Any]:
        """The budget in a cell's hash: the values that are not at their defaults."""
        return self.model_dump(mode="json", exclude_defaults=True)


class Embed(Section):
    """The 2-d maps of test codes; an empty list of methods means none."""

    methods: Items[Literal["tsne", "umap"]] = ("tsne", "umap")
    points: Annotated[int, Field(ge=10, description="test codes on a map")] = 2000
    perplexity: Annotated[float, Field(gt=0, description="t-SNE")] = 30.0
    n_neighbors: Annotated[int, Field(ge=2, description="UMAP")] = 15
    min_dist: Annotated[float, Field(ge=0, le=1, description="UMAP")] = 0.1
    seed: Annotated[int, Field(ge=0, le=MAX_SEED)] = 0

    def model_post_init(self, context: Any) -> None:
        """Refuse neighbourhoods as large as the map, which t-SNE and UMAP cannot compute."""
        for name in ("perplexity", "n_neighbors"):
            if getattr(self, name) >= self.points:
                refuse(f"{name} must be below points ({self.points}), got {getattr(self, name):g}")


class Evaluate(Section):
    """The evaluation protocol: how many samples, neighbours, importance weights and points."""

    samplers: Annotated[Items[Sampler], Field(min_length=1)] = ("prior",)
    n_samples: Annotated[int, Field(ge=2, description="generated images for each sampler")] = 10_000
    knn_k: Positive = 5
    iw_samples: Annotated[int, Field(ge=1, description="importance weights for each image")] = 100
    iw_images: Annotated[int, Field(ge=1, description="test images, a fixed random subset")] = 1000
    embed: Embed = Embed()

    @cached_property
    def content(self) -> dict[str, Any]:
        """The protocol in a cell's hash, without samplers and maps: to ask for more of them changes no number."""
        found = self.model_dump(mode="json", exclude={"samplers", "embed"}, exclude_defaults=True)
        return {**found, "embed": self.embed.model_dump(mode="json", exclude={"methods"}, exclude_defaults=True)}


class Reference(Section):
    """A published number to stand beside the obtained one."""

    dataset: Text
    metric: Metric
    value: float
    source: Text
    protocol: Text
    comparable: bool
    variant: Text | None = None
    label: Text | None = None
    net: Text | None = None
    latent_size: Positive | None = None
    because: Annotated[Text, Field(description="why it is not comparable, or only nearly")] | None = None
    tolerance: Annotated[float, Field(ge=0, description="how far off still agrees")] | None = None

    def model_post_init(self, context: Any) -> None:
        """A reference names a row, and gives the reason if it is not comparable."""
        if self.variant is None and self.label is None:
            refuse("say which row it belongs to with variant or label")
        if not self.comparable and self.because is None:
            refuse("comparable is false, so say why in because")

    @property
    def where(self) -> dict[str, Any]:
        """The coordinates of the cells that the reference belongs to."""
        keys = ("dataset", "variant", "label", "net", "latent_size")
        return {key: getattr(self, key) for key in keys if getattr(self, key) is not None}


class Check(Section):
    """One more comparison of a claim; what it leaves out is the claim's."""

    expect: Expect
    metric: Metric | None = None
    where: Annotated[dict[str, Any], Field(description="on top of the claim's")] = Field(default_factory=dict)


class Claim(Section):
    """A sentence of a source made testable. Its verdict comes from `bench/results/claims/__init__.py`."""

    id: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")]
    says: Text
    source: Text
    where: Annotated[dict[str, Any], Field(description="the cells that it is about")] = Field(default_factory=dict)
    metric: Metric
    expect: Expect
    or_else: Annotated[Items[Check], Field(description="alternatives to the claim's own check")] = ()
    also: Annotated[Items[Check], Field(description="further checks, required as well")] = ()
    under_specified: Annotated[Text, Field(description="what the source leaves open")] | None = None
    note: Text | None = None


def refuse(message: str) -> None:
    """Raise what pydantic reports with this very message."""
    raise PydanticCustomError("refused", "{message}", {"message": message})


def _count_or_list(value: Any) -> Any:
    """`3` means the seeds 0, 1, 2."""
    if isinstance(value, list):
        return tuple(value)
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MAX_SEEDS:
        refuse(f"expected a number of seeds, 1 or more, or a list such as [0, 1], got {show_value(value)}")
    return tuple(range(value))


Seed = Annotated[int, Field(ge=0, le=MAX_SEED)]
SEEDS_SCHEMA = {
    "anyOf": [
        {"type": "integer", "minimum": 1, "maximum": MAX_SEEDS, "description": "n means 0, 1, ..., n-1"},
        {"type": "array", "minItems": 1, "items": {"type": "integer", "minimum": 0, "maximum": MAX_SEED}},
    ]
}


class Block(Section):
    """One block of the grid: the product of its axes, without what it excludes."""

    datasets: Annotated[Items[Dataset], Field(min_length=1)]
    variants: Annotated[Items[Variant], Field(min_length=1)]
    nets: Annotated[Items[Net], Field(min_length=1)] = ("mlp",)
    likelihood: Likelihood = None
    latent_sizes: Annotated[Items[Positive], Field(min_length=1)]
    seeds: Annotated[
        tuple[Seed, ...],
        Field(min_length=1),
        BeforeValidator(_count_or_list),
        WithJsonSchema(SEEDS_SCHEMA),
    ]
    exclude: Items[Annotated[dict[str, Any], Field(min_length=1)]] = ()
    train: Annotated[Train, Field(description="replaces single values of the suite's train in this block")] = Train()

    def budget(self, common: Train) -> Train:
        """The suite's training budget with the values that this block gives itself."""
        return common.model_copy(update={name: getattr(self.train, name) for name in self.train.model_fields_set})


class File(Section):
    """A suite file of bench: the question, its grid of cells, its budget and its protocol."""

    title: Text
    description: str = ""
    plugins: Annotated[Items[Text], Field(description="folders of components of one's own, relative to this file")] = ()
    grid: Annotated[Any, WithJsonSchema({"component": "grid"})]
    train: Train = Train()
    evaluate: Evaluate = Evaluate()
    metrics: Annotated[Items[Metric], Field(min_length=1)] | None = None
    claims: Annotated[Items[Claim], Field(max_length=MOST_CLAIMS)] = ()
    references: Items[Reference] = ()


def check(model: type[M], data: Any, issues: Issues) -> M | None:
    """Validate a section; None, with its issues noted, where it is wrong."""
    try:
        return model.model_validate(data)
    except ValidationError as error:
        details = error.errors(include_url=False)
        parents = {detail["loc"][:n] for detail in details for n in range(len(detail["loc"]))}
        for detail in details:
            if detail["type"] == "too_short" and detail["loc"] in parents:
                continue  # it is short of the items that are wrong themselves
            place = detail["loc"][:-1] if detail["type"] == "missing" else detail["loc"]
            issues.at(*place).add(describe_error(detail, model), key=detail["type"] == "extra_forbidden")
        return None


def attempt(model: type[M], data: Any) -> M | None:
    """Validate without noting issues, to check the rest of a file against a section that is sound."""
    try:
        return model.model_validate(data)
    except ValidationError:
        return None


def describe_error(detail: ErrorDetails, model: type[BaseModel]) -> Problem:
    """One of pydantic's errors as a sentence that fits a YAML file."""
    kind, context, got = detail["type"], detail.get("ctx", {}), show_value(detail["input"])
    if kind == "extra_forbidden":
        key = str(detail["loc"][-1])
        return Problem(f"unknown key '{quote(key)}'", key, tuple(_keys_at(model, detail["loc"][:-1])))
    if kind == "missing":
        return Problem(f"the key '{detail['loc'][-1]}' is missing")
    if kind == "literal_error":
        words = context["expected"].replace(" or ", ", ").replace("'", "").split(", ")
        return Problem(f"unknown value {got}", str(detail["input"]), tuple(words))
    if kind in _EXPECTED:
        return Problem(f"expected {_EXPECTED[kind]}, got {got}")
    if kind in _BOUNDS:
        words, key = _BOUNDS[kind]
        return Problem(f"must be {words} {context[key]:g}, got {got}")
    if kind == "too_long":
        return Problem(f"has more than {context['max_length']} entries")
    return Problem(_OTHERS.get(kind, detail["msg"]))


def _keys_at(model: type[BaseModel], loc: tuple[int | str, ...]) -> list[str]:
    """The keys that a section knows at a place inside it: its own, or those of a section nested in it."""
    for step in loc:
        for kind in _models_in(model.model_fields[step].annotation) if step in model.model_fields else ():
            model = kind
    found = [info.alias or name for name, info in model.model_fields.items()]
    return [*found, "include"] if model in (File, Block, Train, Evaluate, Embed) else found


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [found for part in getattr(annotation, "__args__", ()) for found in _models_in(part)]


_EXPECTED = {
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "string_type": "text",
    "bool_type": "true or false",
    "tuple_type": "a list such as [a, b]",
    "list_type": "a list such as [a, b]",
    "dict_type": "a mapping such as {key: value}",
    "model_type": "a mapping such as {key: value}",
}
_BOUNDS = {
    "greater_than": ("above", "gt"),
    "greater_than_equal": ("at least", "ge"),
    "less_than": ("below", "lt"),
    "less_than_equal": ("at most", "le"),
}
_OTHERS = {
    "too_short": "must not be empty",
    "string_too_short": "must not be empty",
    "string_pattern_mismatch": "may hold letters, digits and _ . - only, a letter or digit first",
}
