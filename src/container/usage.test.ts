import { describe, expect, it } from 'vitest'
import { parseNetDev, readUsage } from './usage.ts'

describe('usage', () => {
  it('reads interfaces but for the loopback', () => {
    const text = `Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo:     100       1    0    0    0     0          0         0      100       1    0    0    0     0       0          0
  eth0:    1046      13    1    2    0     0          0         0      446       5    3    4    0     0       0          0
`
    expect(parseNetDev(text)).toEqual([
      {
        name: 'eth0',
        receivedBytes: 1046,
        receivedPackets: 13,
        receivedErrors: 1,
        receivedDropped: 2,
        sentBytes: 446,
        sentPackets: 5,
        sentErrors: 3,
        sentDropped: 4,
      },
    ])
  })

  it('knows nothing of a process that is gone', async () => {
    expect(await readUsage(2 ** 22 + 1)).toBeUndefined()
  })

  it('reads this process', async () => {
    const usage = await readUsage(process.pid)
    expect(usage?.memory.limit).toBeGreaterThan(0)
    expect(usage?.cpu.total).toBeGreaterThanOrEqual(0)
  })
})
