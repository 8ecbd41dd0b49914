/** `graph`: the picture for a document. */
import { graphText, type GraphForm, type Picture } from '../../insight/index.ts'
import { defineCommand } from '../command.ts'
import { Failure } from '../failure.ts'
import { boolean, text } from '../flags.ts'

export const graph = defineCommand({
  usage: '[OPTIONS]',
  flags: {
    mermaid: boolean('As Mermaid, which code hosts draw (default)'),
    dot: boolean('For Graphviz'),
    svg: boolean('As an image'),
    format: text("'json' for the picture itself as JSON"),
  },
  minimum: 0,
  maximum: 0,
  examples: [
    ['linkspan graph --mermaid', 'Paste it into a README'],
    ['linkspan graph --svg > network.svg', 'An image for a document'],
  ],
  run: async (context, values) => {
    const forms = (['mermaid', 'dot', 'svg'] as const).filter(form => values[form])
    if (forms.length > 1) throw new Failure(`--${forms.join(' and --')} exclude each other`)
    if (values.format !== '' && values.format !== 'json')
      throw new Failure(`invalid --format ${values.format}: there is json`)
    const picture = await context.client.json<Picture>('GET', '/linkspan/v1/picture')
    const form: GraphForm = forms[0] ?? 'mermaid'
    context.stdout.write(values.format === 'json' ? `${JSON.stringify(picture)}\n` : graphText(picture, form))
    return 0
  },
})
