/** The picture in words, for those who cannot see it and those who want to copy from it. */
import { picture, portTexts } from './picture.ts'
import { say } from './words.ts'

export function TextPicture() {
  const { Networks = [], Containers = [] } = picture.value ?? {}
  return (
    <section class="text-picture card" aria-label={say('asText')}>
      {Networks.filter(network => network.Bridge !== null).map(network => (
        <div key={network.Id}>
          <h3>
            {network.Name}{' '}
            <span class="mono soft">
              {network.Bridge?.Index}: {network.Bridge?.Name}{' '}
              {network.Subnets.map(each => each.Subnet).join(' ')}
              {network.Internal ? ` · ${say('internal')}` : ''}
            </span>
          </h3>
          <ul class="list">
            {Containers.flatMap(container =>
              container.Endpoints.filter(endpoint => endpoint.NetworkId === network.Id).map(endpoint => (
                <li key={endpoint.Id}>
                  {container.Name}{' '}
                  <span class="mono soft">
                    {endpoint.Interface} {endpoint.IPv4 || endpoint.IPv6} · {endpoint.HostIndex}:{' '}
                    {endpoint.HostInterface} ⇄ {endpoint.Index} {portTexts(container).join(' ')}
                  </span>
                </li>
              )),
            )}
          </ul>
        </div>
      ))}
    </section>
  )
}
