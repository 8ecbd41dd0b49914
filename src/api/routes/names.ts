/** What a container can resolve, and its questions as they are answered. */
import type { NameService } from '../../engine/index.ts'
import { json, param, type Call, type Handler } from '../call.ts'
import { lineStream } from '../lines.ts'
import type { Route } from '../router.ts'
import { get } from './table.ts'

function view(call: Call, { resolver, servers, external, names }: NameService) {
  const nameOf = (id: string): string => call.engine.state.containers.get(id)?.name ?? id
  return {
    Resolver: resolver === 'embedded' ? '127.0.0.11' : 'resolv.conf',
    Servers: servers,
    External: external,
    Names: names.map(({ name, network, addresses, containers, link, hidden }) => ({
      Name: name,
      Network: network,
      Addresses: addresses,
      Containers: containers.map(nameOf),
      Link: link,
      Hidden: hidden,
    })),
  }
}

const seen: Handler = call => json(200, view(call, call.engine.namesSeenBy(param(call, 'id'))))

/** One line of JSON per question; ends when the client goes or the container stops. */
const questions: Handler = async call => {
  const { engine, signal } = call
  const { id } = engine.state.findContainer(param(call, 'id'))
  const lines = lineStream(call)
  const unwatch = engine.watchNames(id, ({ time, name, type, from, code, answers, took }) =>
    lines.write(
      JSON.stringify({
        Time: new Date(time).toISOString(),
        Name: name,
        Type: type,
        From: from,
        Code: code,
        Answers: answers,
        Milliseconds: took,
      }),
    ),
  )
  call.response.setHeader('Content-Type', 'application/x-ndjson')
  call.response.writeHead(200)
  call.response.flushHeaders()
  let unsubscribe = (): void => undefined
  await new Promise<void>(resolve => {
    unsubscribe = engine.onEvent(event => {
      if (event.type === 'container' && event.action === 'die' && event.actor.id === id) resolve()
    })
    signal.addEventListener('abort', () => resolve(), { once: true })
    if (signal.aborted) resolve()
  })
  unsubscribe()
  unwatch()
  lines.end()
  return undefined
}

export const nameRoutes: readonly Route<Handler>[] = [
  get('/linkspan/v1/containers/:id/dns', seen),
  get('/linkspan/v1/containers/:id/dns/questions', questions),
]
