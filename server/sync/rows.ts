// What rows at a destination are made of: the expressions of a whole batch in one go, then each entry's values or the reason why it
// has none. A record that does not fit stops itself alone.
import type { FieldValues } from '../connectors/connector.ts'
import type { ContentType, Entry } from '../contentstack/stack.ts'
import { AppError } from '../errors.ts'
import { compute } from './computed.ts'
import type { Expressions } from './expressions.ts'
import type { Mapping } from './mapping.ts'
import { entryInput, entryValues } from './outward.ts'

export interface RowMaking {
  sync: { installation_id: string }
  mapping: readonly Mapping[]
  contentType: ContentType
  expressions: Expressions
  signal: AbortSignal
}

/** One for each entry, in their order; the error is AppError invalid. Throws as Expressions.evaluate does. */
export async function rowsOf(making: RowMaking, entries: readonly Entry[]): Promise<(FieldValues | AppError)[]> {
  const { sync, mapping, contentType, expressions, signal } = making
  const computed = await compute(expressions, sync.installation_id, mapping, entries.map(entryInput), signal)
  return entries.map((entry, index) => {
    try {
      return entryValues(entry, mapping, contentType.schema, computed[index])
    } catch (error) {
      if (error instanceof AppError && error.code === 'invalid') return error
      throw error
    }
  })
}
