/** Which container a view is about: the one in the address, else the first that has interfaces. */
import { picture } from './picture.ts'
import { go, place, type View } from './place.ts'
import { say } from './words.ts'

const withInterfaces = () =>
  (picture.value?.Containers ?? []).filter(container => container.Endpoints.length > 0)

/** Its name; '' where none runs. */
export function useContainer(): string {
  const { about } = place.value
  return about === '' ? (withInterfaces()[0]?.Name ?? '') : about
}

export function ContainerChoice({ view, container }: { readonly view: View; readonly container: string }) {
  return (
    <label>
      {say('container')}{' '}
      <select value={container} onInput={event => go(view, event.currentTarget.value)}>
        {withInterfaces().map(each => (
          <option key={each.Id} value={each.Name}>
            {each.Name}
          </option>
        ))}
      </select>
    </label>
  )
}
