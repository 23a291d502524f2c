"""How frames move: stages, the list that links them, the task that runs it, who may watch.

A frame is handed on by a plain call. A queue stands only where a stage is declared with
``async def process``. Must not know what a frame means.
"""

from antiphon.pipeline.full import Full
from antiphon.pipeline.observers import Observer
from antiphon.pipeline.parallel import ParallelPipeline
from antiphon.pipeline.params import PipelineParams
from antiphon.pipeline.pipeline import Pipeline
from antiphon.pipeline.processor import FrameProcessor
from antiphon.pipeline.replies import Replies, ReplyScope
from antiphon.pipeline.runner import PipelineRunner
from antiphon.pipeline.task import PipelineTask

__all__ = [
    "FrameProcessor",
    "Full",
    "Observer",
    "ParallelPipeline",
    "Pipeline",
    "PipelineParams",
    "PipelineRunner",
    "PipelineTask",
    "Replies",
    "ReplyScope",
]
