"""All actions by name. A new one is a module of its own and a line here."""

from memwatchd.actions.base import Action
from memwatchd.actions.compact import Compact
from memwatchd.actions.drop_caches import DropCaches
from memwatchd.actions.dump import Dump
from memwatchd.actions.evict_files import EvictFiles
from memwatchd.actions.freeze import Freeze
from memwatchd.actions.hook import Hook
from memwatchd.actions.kill import Kill
from memwatchd.actions.limit import Limit
from memwatchd.actions.log import Log
from memwatchd.actions.notify import Notify
from memwatchd.actions.oom_score_adj import OomScoreAdj
from memwatchd.actions.panic import Panic
from memwatchd.actions.reboot import Reboot
from memwatchd.actions.reclaim import Reclaim
from memwatchd.actions.restart_unit import RestartUnit
from memwatchd.actions.signal import Signal
from memwatchd.actions.stop_unit import StopUnit
from memwatchd.actions.swap_on import SwapOn
from memwatchd.actions.sysctl import Sysctl
from memwatchd.actions.sysrq import Sysrq
from memwatchd.actions.thaw import Thaw
from memwatchd.actions.zfs_arc import ZfsArc

_MODULES: tuple[type[Action], ...] = (
    Compact,
    DropCaches,
    Dump,
    EvictFiles,
    Freeze,
    Hook,
    Kill,
    Limit,
    Log,
    Notify,
    OomScoreAdj,
    Panic,
    Reboot,
    Reclaim,
    RestartUnit,
    Signal,
    StopUnit,
    SwapOn,
    Sysctl,
    Sysrq,
    Thaw,
    ZfsArc,
)

ACTIONS = {action.name: action for action in _MODULES}
