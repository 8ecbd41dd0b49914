import { describe, expect, it } from 'vitest'
import { linkCounters, parseCounters } from './counters.ts'

describe('counters of links', () => {
  it('are read from the kernel’s table, also where a large number touches the colon', () => {
    const text = [
      'Inter-|   Receive                                                |  Transmit',
      ' face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs',
      '    lo:     840      10    0    0    0     0          0         0      840      10    0    0    0     0       0          0',
      'veth1234567:987654321012 7    0    0    0     0          0         0     12       1    0    0    0     0       0          0',
    ].join('\n')
    expect(parseCounters(text)).toEqual([
      { name: 'lo', receivedBytes: 840, receivedPackets: 10, sentBytes: 840, sentPackets: 10 },
      {
        name: 'veth1234567',
        receivedBytes: 987_654_321_012,
        receivedPackets: 7,
        sentBytes: 12,
        sentPackets: 1,
      },
    ])
  })

  it('of this namespace have its loopback', () => {
    expect(linkCounters().map(({ name }) => name)).toContain('lo')
  })
})
