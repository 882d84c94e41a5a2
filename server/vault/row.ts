// One row of `secret`: what is bound to its envelope, and how it opens. A row that does not open is named, since whoever reads the
// refusal has to find it.
import type { Row } from '../database/schema.ts'
import { AppError, isAppError } from '../errors.ts'
import { open, type RingKey } from './cipher.ts'

export type SecretRow = Row<'secret'>

/** The key's id is bound by the envelope's own wrapping, so that a rewrap does not have to touch the ciphertext. */
export function aadOf(row: Pick<SecretRow, 'id' | 'organization_id' | 'installation_id' | 'purpose' | 'version'>): string {
  return JSON.stringify(['secret', row.organization_id, row.installation_id, row.id, row.purpose, row.version])
}

/** Throws AppError internal that names the row. */
export function openRow(keyOf: (id: string) => RingKey, row: SecretRow): string {
  return named(row, () => open(keyOf, row.envelope, aadOf(row)))
}

/** Whatever `act` throws about the row's envelope says which row. */
export function named<T>(row: SecretRow, act: () => T): T {
  try {
    return act()
  } catch (error) {
    if (!isAppError(error)) throw error
    const { remedy } = error
    throw new AppError(error.code, `The secret ${nameOf(row)} does not open. ${error.message}`, {
      cause: error.cause ?? error,
      ...(remedy === undefined ? {} : { remedy })
    })
  }
}

/** `sec_… (management_token of ins_…)` */
export function nameOf(row: Pick<SecretRow, 'id' | 'purpose' | 'installation_id'>): string {
  return `${row.id} (${row.purpose}${row.installation_id === null ? '' : ` of ${row.installation_id}`})`
}
