/** Linux, as far as networking needs it, in typed functions. What other floors use comes through here. */

export { openKernel } from './client.ts'
export { Capture, type Frame } from './capture.ts'
export { linkCounters, type LinkCounters } from './counters.ts'
export { KernelError, type KernelErrorFields } from './error.ts'
export { field } from './nfnetlink/field.ts'
export { RulesetMonitor, type RulesetChange } from './nfnetlink/monitor.ts'
export { Tracer, type TraceEvent, type TraceSelector } from './nfnetlink/trace.ts'
export type { NftChain, NftExpression, NftHit, NftRule } from './nfnetlink/ruleset.ts'
export { probe } from './probe.ts'
export type { NoRoute, RouteAnswer, RouteQuestion } from './rtnetlink/lookup.ts'
export { holderOf, type BoundSocket } from './sockdiag.ts'
export { createNamespace, deleteNamespace, inNamespace } from './namespace.ts'
export {
  bindMount,
  mount,
  mountOverlay,
  unmount,
  unmountDetached,
  type MountSpec,
  type OverlaySpec,
} from './mount.ts'
export { NETLINK_ROUTE, NetlinkSocket } from './netlink/socket.ts'
export type * from './operation.ts'
export { Monitor, type MonitorEvent, type MonitorTopic } from './rtnetlink/monitor.ts'
export { deleteNeighbour, listNeighbours, setNeighbour, type Neighbour } from './rtnetlink/neighbour.ts'
export { inheritOrphans, orphanExit } from './orphan.ts'
export { openPipe, TerminalStream, type Pipe } from './terminal.ts'
export { notifySystemd } from './notify.ts'
export {
  listenForDescriptor,
  SeqpacketSocket,
  type DescriptorListener,
  type SeqpacketHandlers,
} from './unix.ts'
