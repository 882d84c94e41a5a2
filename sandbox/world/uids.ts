// Identifiers as the platform shapes them: `blt` + 16 hex for stack objects, `cs` + hex for secrets and rows, 24 hex for apps
// and installations (contentstack.md, head). Derived ones make the built-in world the same in every run.
import { createHash, randomBytes } from 'node:crypto'

export function newUid(): string {
  return `blt${randomBytes(8).toString('hex')}`
}

/** Of a group row, a modular block or a webhook execution. */
export function newRowUid(): string {
  return `cs${randomBytes(8).toString('hex')}`
}

/** A management token's secret. */
export function newSecret(): string {
  return `cs${randomBytes(20).toString('hex')}`
}

/** Of an app or an installation. */
export function newObjectId(): string {
  return randomBytes(12).toString('hex')
}

/** The same name gives the same uid, always. */
export function uidFor(name: string): string {
  return `blt${createHash('sha256').update(name).digest('hex').slice(0, 16)}`
}
