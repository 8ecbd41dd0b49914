/** Follows the engine's picture for as long as the page is open; reconnects when the engine comes back. */
import { batch } from '@preact/signals'
import { follow, Refusal } from './api.ts'
import {
  connection,
  picture,
  rates,
  type Picture,
  type PictureContainer,
  type PictureNetwork,
  type Rate,
} from './picture.ts'

interface Changed<T> {
  readonly Put: readonly T[]
  readonly Drop: readonly string[]
}

type Message =
  | { readonly Type: 'picture'; readonly Picture: Picture }
  | {
      readonly Type: 'change'
      readonly Uplink: Picture['Uplink']
      readonly Networks: Changed<PictureNetwork>
      readonly Containers: Changed<PictureContainer>
    }
  | { readonly Type: 'rates'; readonly Rates: Readonly<Record<string, Rate>> }

const retryMs = 1000

/** Gives the function that ends it. */
export function watch(): () => void {
  const stop = new AbortController()
  void keepFollowing(stop.signal)
  return () => stop.abort()
}

async function keepFollowing(signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    try {
      await follow('/linkspan/v1/picture?follow=1', line => take(line as Message), signal)
      connection.value = 'lost'
    } catch (error) {
      const over = error instanceof Refusal && error.status === 401
      connection.value = over ? 'over' : 'lost'
      if (over) return
    }
    await new Promise(resolve => setTimeout(resolve, retryMs))
  }
}

function take(message: Message): void {
  batch(() => {
    connection.value = 'live'
    if (message.Type === 'rates') rates.value = message.Rates
    else if (message.Type === 'picture') picture.value = message.Picture
    else if (picture.value !== undefined) {
      const { Firewall, Networks, Containers } = picture.value
      picture.value = {
        Firewall,
        Uplink: message.Uplink,
        Networks: merged(Networks, message.Networks),
        Containers: merged(Containers, message.Containers),
      }
    }
  })
}

/** What is there keeps its place, so that nothing jumps. */
function merged<T extends { readonly Id: string }>(
  before: readonly T[],
  { Put, Drop }: Changed<T>,
): readonly T[] {
  const put = new Map(Put.map(each => [each.Id, each]))
  const dropped = new Set(Drop)
  const kept = before.filter(each => !dropped.has(each.Id)).map(each => put.get(each.Id) ?? each)
  const known = new Set(before.map(each => each.Id))
  return [...kept, ...Put.filter(each => !known.has(each.Id))]
}
