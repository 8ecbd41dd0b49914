/** The picture as a drawing that goes into a document: Mermaid, Graphviz, or SVG of its own. */
import type { Picture, PictureContainer, PictureNetwork } from './picture.ts'

export type GraphForm = 'mermaid' | 'dot' | 'svg'

export function graphText(picture: Picture, form: GraphForm): string {
  if (form === 'mermaid') return mermaid(picture)
  if (form === 'dot') return dot(picture)
  return svg(picture)
}

/** Networks with a bridge, gateways first and internal ones last, each with its number. */
function rails({ Networks }: Picture): readonly PictureNetwork[] {
  return Networks.filter(({ Bridge }) => Bridge !== null).sort(
    (one, other) => Number(one.Internal) - Number(other.Internal) || (one.Name < other.Name ? -1 : 1),
  )
}

const running = ({ Containers }: Picture): readonly PictureContainer[] =>
  Containers.filter(({ Endpoints }) => Endpoints.length > 0).sort((one, other) =>
    one.Name < other.Name ? -1 : 1,
  )

const railText = ({ Name, Bridge, Subnets, Internal }: PictureNetwork): readonly string[] => [
  Name,
  Bridge?.Name ?? '',
  Subnets.map(({ Subnet }) => Subnet).join(' ') + (Internal ? ' (internal)' : ''),
]

function portTexts({ Ports }: PictureContainer): readonly string[] {
  const texts = Ports.map(({ HostFrom, HostTo, ContainerFrom, Protocol, HostIp }) => {
    const host = HostIp === '0.0.0.0' || HostIp === '::' ? '' : `${HostIp}:`
    const run = HostFrom === HostTo ? '' : `-${HostTo}`
    return `${host}${HostFrom}${run}→${ContainerFrom}${Protocol === 'tcp' ? '' : `/${Protocol}`}`
  })
  return [...new Set(texts)]
}

function mermaid(picture: Picture): string {
  const quoted = (lines: readonly string[]) =>
    `"${lines.map(line => line.replaceAll('"', '&quot;')).join('<br/>')}"`
  const networks = rails(picture)
  const number = new Map(networks.map(({ Id }, at) => [Id, `n${at}`]))
  const lines = ['graph LR', '  internet(("internet"))']
  if (picture.Uplink !== null) {
    lines.push(
      `  host{{${quoted(['host', `${picture.Uplink.Name} ${picture.Uplink.Addresses[0] ?? ''}`])}}}`,
      '  internet --- host',
    )
  }
  for (const network of networks) {
    lines.push(`  ${number.get(network.Id)}[${quoted(railText(network))}]`)
    if (!network.Internal && picture.Uplink !== null) lines.push(`  host --- ${number.get(network.Id)}`)
  }
  for (const [at, container] of running(picture).entries()) {
    lines.push(`  c${at}(${quoted([container.Name, ...portTexts(container)])})`)
    for (const end of container.Endpoints) {
      lines.push(
        `  ${number.get(end.NetworkId)} ---|${quoted([`${end.HostIndex} ⇄ ${end.Index}`, end.IPv4 || end.IPv6])}| c${at}`,
      )
    }
  }
  return `${lines.join('\n')}\n`
}

function dot(picture: Picture): string {
  const quoted = (lines: readonly string[]) =>
    `"${lines.map(line => line.replaceAll('\\', '\\\\').replaceAll('"', '\\"')).join('\\n')}"`
  const lines = [
    'graph linkspan {',
    '  rankdir=LR; node [fontname="sans-serif"]; edge [fontname="sans-serif", fontsize=10];',
  ]
  if (picture.Uplink !== null) {
    lines.push(
      '  internet [shape=ellipse];',
      `  host [shape=octagon, label=${quoted(['host', `${picture.Uplink.Name} ${picture.Uplink.Addresses[0] ?? ''}`])}];`,
      '  internet -- host;',
    )
  }
  for (const network of rails(picture)) {
    lines.push(
      `  "${network.Id}" [shape=box, style=filled, fillcolor="#dbeafe", label=${quoted(railText(network))}];`,
    )
    if (!network.Internal && picture.Uplink !== null) lines.push(`  host -- "${network.Id}";`)
  }
  for (const container of running(picture)) {
    lines.push(
      `  "${container.Id}" [shape=box, style=rounded, label=${quoted([container.Name, ...portTexts(container)])}];`,
    )
    for (const end of container.Endpoints) {
      lines.push(
        `  "${end.NetworkId}" -- "${container.Id}" [label=${quoted([`${end.HostIndex} ⇄ ${end.Index}`, end.IPv4 || end.IPv6])}];`,
      )
    }
  }
  return `${[...lines, '}'].join('\n')}\n`
}

const colours = ['#2563eb', '#16a34a', '#c2410c', '#7c3aed', '#0891b2', '#be185d', '#a16207', '#4d7c0f']
const box = { width: 168, height: 64, gap: 20, left: 220 }
const railGap = 150

/** Rails across, one below the other; containers hang below the rail of their first network. */
function svg(picture: Picture): string {
  const escape = (text: string) =>
    text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
  const networks = rails(picture)
  const place = new Map(
    networks.map(({ Id }, at) => [
      Id,
      { y: 60 + at * railGap, colour: colours[at % colours.length] ?? '#555' },
    ]),
  )
  const columns = new Map<string, number>()
  const boxes = running(picture).map((container, at) => {
    const lowest = Math.max(...container.Endpoints.map(({ NetworkId }) => place.get(NetworkId)?.y ?? 0))
    const x = box.left + at * (box.width + box.gap)
    columns.set(container.Id, x)
    return { container, x, y: lowest + 40 }
  })
  const width = box.left + Math.max(1, boxes.length) * (box.width + box.gap) + 20
  const height = 80 + Math.max(1, networks.length) * railGap
  const parts = networks.map(network => {
    const { y, colour } = place.get(network.Id) ?? { y: 0, colour: '#555' }
    const [name = '', bridge = '', subnet = ''] = railText(network)
    return `<line x1="20" y1="${y}" x2="${width - 20}" y2="${y}" stroke="${colour}" stroke-width="6"${network.Internal ? ' stroke-dasharray="14 6"' : ''}/>
<text x="24" y="${y - 12}" fill="${colour}" font-weight="bold">${escape(name)}</text><text x="24" y="${y + 22}">${escape(bridge)} ${escape(subnet)}</text>`
  })
  for (const { container, x, y } of boxes) {
    for (const [at, end] of container.Endpoints.entries()) {
      const rail = place.get(end.NetworkId)
      if (rail === undefined) continue
      const along = x + 30 + at * 60
      parts.push(
        `<line x1="${along}" y1="${rail.y}" x2="${along}" y2="${y}" stroke="${rail.colour}" stroke-width="2"/><text x="${along + 4}" y="${y - 8}" font-size="10">${end.HostIndex} ⇄ ${end.Index}</text>`,
      )
    }
    const addresses = container.Endpoints.map(({ IPv4, IPv6 }) => (IPv4 || IPv6).replace(/\/.*/, '')).join(
      ' ',
    )
    parts.push(
      `<rect x="${x}" y="${y}" width="${box.width}" height="${box.height}" rx="8" fill="#fff" stroke="#64748b"/><text x="${x + 10}" y="${y + 20}" font-weight="bold">${escape(container.Name)}</text><text x="${x + 10}" y="${y + 38}" font-size="11">${escape(addresses)}</text><text x="${x + 10}" y="${y + 54}" font-size="11" fill="#b45309">${escape(portTexts(container).join(' '))}</text>`,
    )
  }
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" font-family="sans-serif" font-size="13"><rect width="100%" height="100%" fill="#f8fafc"/>
${parts.join('\n')}
</svg>
`
}
