import { describe, expect, it } from 'vitest'
import { Health } from './health.ts'

describe('the memory of silent servers', () => {
  it('puts them last, tries them beside the others later, and forgives', () => {
    let now = 0
    const health = new Health(() => now)
    health.wasSilent('', 'a')
    expect(health.order('', ['a', 'b'])).toEqual({ servers: ['b', 'a'], trial: [] })
    now = 10_000
    expect(health.order('', ['a', 'b'])).toEqual({ servers: ['b', 'a'], trial: ['a'] })
    // One question tries it, not all that come meanwhile.
    expect(health.order('', ['a', 'b']).trial).toEqual([])
    health.answered('', 'a')
    expect(health.order('', ['a', 'b'])).toEqual({ servers: ['a', 'b'], trial: [] })
  })

  it('leaves them alone for longer each time, within bounds', () => {
    let now = 0
    const health = new Health(() => now)
    const rests: number[] = []
    for (let round = 0; round < 6; round++) {
      health.wasSilent('', 'a')
      const since = now
      while (health.order('', ['a', 'b']).trial.length === 0) now += 1000
      rests.push(now - since)
      // The trial was in vain, too.
      now += 130_000
    }
    expect(rests[0]).toBe(10_000)
    expect(Math.max(...rests)).toBeLessThanOrEqual(120_000)
  })

  it('asks as usual where all are silent', () => {
    const health = new Health(() => 0)
    for (const server of ['a', 'b']) health.wasSilent('', server)
    expect(health.order('', ['a', 'b'])).toEqual({ servers: ['a', 'b'], trial: [] })
  })

  it('knows one address from another namespace’s', () => {
    const health = new Health(() => 0)
    health.wasSilent('s1', 'a')
    expect(health.order('s2', ['a', 'b']).servers).toEqual(['a', 'b'])
    health.forget('s1')
    expect(health.order('s1', ['a', 'b']).servers).toEqual(['a', 'b'])
  })
})
