// What a person may choose for an inbound sync beside its mapping, checked against the stack before anything is kept.
import type { Field } from '../connectors/connector.ts'
import type { StackClient } from '../contentstack/stack.ts'
import { AppError } from '../errors.ts'
import type { InboundOptions } from './sync.ts'

/** In the shape of http/contract/stack.ts InboundOptions. */
export interface InboundInput {
  onDisappearance?: 'keep' | 'unpublish' | 'delete' | undefined
  publish?: { environments: string[] } | undefined
  references?: 'uid' | 'externalId' | undefined
  localeColumn?: string | undefined
}

type Chosen = Pick<InboundOptions, 'onDisappearance' | 'publish' | 'references' | 'localeColumn'>

/** Only what was chosen. AppError invalid with fields for an environment or a column that is not there. */
export async function checkInboundOptions(stack: StackClient, columns: readonly Field[], input: InboundInput): Promise<Chosen> {
  const { localeColumn } = input
  if (localeColumn !== undefined && !columns.some(column => column.name === localeColumn)) {
    throw new AppError('invalid', `The source has no column "${localeColumn}" for locales.`, {
      remedy: `Its columns: ${columns.map(column => column.name).join(', ')}.`,
      fields: { 'inbound.localeColumn': [`unknown: ${localeColumn}`] }
    })
  }
  const environments = input.publish?.environments ?? []
  if (environments.length > 0) {
    const known = (await stack.environments()).map(environment => environment.name)
    const unknown = environments.filter(name => !known.includes(name))
    if (unknown.length > 0) {
      throw new AppError('invalid', `The stack has no environment ${unknown.join(', ')}.`, {
        remedy: `Its environments: ${known.join(', ')}.`,
        fields: { 'inbound.publish': [`unknown: ${unknown.join(', ')}`] }
      })
    }
  }
  return chosenOptions(input)
}

export function chosenOptions({ onDisappearance, publish, references, localeColumn }: InboundInput): Chosen {
  return {
    ...(onDisappearance ? { onDisappearance } : {}),
    ...(publish ? { publish: { environments: [...new Set(publish.environments)] } } : {}),
    ...(references ? { references } : {}),
    ...(localeColumn ? { localeColumn } : {})
  }
}
