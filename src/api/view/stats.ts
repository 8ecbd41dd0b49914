/** A container's usage as `docker stats` reads it. Keys and their order are Docker's. */
import { availableParallelism } from 'node:os'
import { readFileSync } from 'node:fs'
import type { Usage } from '../../container/index.ts'

export interface Sample {
  /** RFC 3339. */
  readonly at: string
  readonly usage: Usage | undefined
  /** Nanoseconds that all CPUs of the host have spent. */
  readonly host: number
}

const never = '0001-01-01T00:00:00Z'
const nanosecondsPerTick = 1e7

/** proc(5): user, nice, system, idle, iowait, irq, softirq and steal, in hundredths of a second. */
export function hostCpu(): number {
  const [, fields = ''] = /^cpu +(.*)$/m.exec(readFileSync('/proc/stat', 'utf8')) ?? []
  return (
    fields
      .split(' ')
      .slice(0, 8)
      .reduce((sum, field) => sum + Number(field), 0) * nanosecondsPerTick
  )
}

export const nothing: Sample = { at: never, usage: undefined, host: 0 }

function cpuView({ usage, host }: Sample) {
  const cpu = usage?.cpu
  const throttling = usage?.throttling
  return {
    cpu_usage: {
      total_usage: cpu?.total ?? 0,
      usage_in_kernelmode: cpu?.system ?? 0,
      usage_in_usermode: cpu?.user ?? 0,
    },
    ...(usage === undefined ? {} : { system_cpu_usage: host, online_cpus: availableParallelism() }),
    throttling_data: {
      periods: throttling?.periods ?? 0,
      throttled_periods: throttling?.throttled ?? 0,
      throttled_time: throttling?.nanoseconds ?? 0,
    },
  }
}

export function statsView(id: string, name: string, before: Sample, now: Sample) {
  const { usage } = now
  return {
    id,
    name: `/${name}`,
    os_type: 'linux',
    read: now.at,
    cpu_stats: cpuView(now),
    memory_stats:
      usage === undefined
        ? {}
        : { usage: usage.memory.usage, stats: usage.memory.stat, limit: usage.memory.limit },
    pids_stats:
      usage === undefined
        ? {}
        : {
            current: usage.processes.current,
            ...(usage.processes.limit === undefined ? {} : { limit: usage.processes.limit }),
          },
    blkio_stats: {
      io_service_bytes_recursive:
        usage === undefined
          ? null
          : [
              { major: 0, minor: 0, op: 'read', value: usage.disk.readBytes },
              { major: 0, minor: 0, op: 'write', value: usage.disk.writtenBytes },
            ],
      io_serviced_recursive: null,
      io_queue_recursive: null,
      io_service_time_recursive: null,
      io_wait_time_recursive: null,
      io_merged_recursive: null,
      io_time_recursive: null,
      sectors_recursive: null,
    },
    num_procs: 0,
    storage_stats: {},
    preread: before.at,
    precpu_stats: cpuView(before),
    ...(usage === undefined || usage.interfaces.length === 0
      ? {}
      : {
          networks: Object.fromEntries(
            usage.interfaces.map(each => [
              each.name,
              {
                rx_bytes: each.receivedBytes,
                rx_packets: each.receivedPackets,
                rx_errors: each.receivedErrors,
                rx_dropped: each.receivedDropped,
                tx_bytes: each.sentBytes,
                tx_packets: each.sentPackets,
                tx_errors: each.sentErrors,
                tx_dropped: each.sentDropped,
              },
            ]),
          ),
        }),
  }
}
