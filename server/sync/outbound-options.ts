// What a person chooses of an outbound sync beside its mapping, checked before anything is kept: the branch and the environment
// exist, the filter is one that the stack itself can answer. The operators let through are those of contentstack.md §8.1.
import type { ContentType, StackClient } from '../contentstack/stack.ts'
import { AppError, isAppError } from '../errors.ts'
import { recordsOf } from './assets-out.ts'
import type { EmbedDepth, OutboundOptions } from './sync.ts'

/** In the shape of http/contract/stack.ts NewSync. */
export interface OutboundInput {
  source?: 'draft' | 'published' | undefined
  /** By name, for 'published'. */
  environment?: string | undefined
  filter?: Record<string, unknown> | undefined
  references?: { embed: EmbedDepth } | undefined
  richText?: 'html' | 'text' | undefined
}

/** AppError invalid with fields. The filter is asked of each content type once. */
export async function checkOutboundInput(
  stack: StackClient,
  input: OutboundInput,
  contentTypes: readonly ContentType[]
): Promise<Omit<OutboundOptions, 'table'>> {
  const source = input.source ?? 'draft'
  if (input.filter) checkFilter(input.filter)
  const environment = source === 'published' ? await environmentNamed(stack, input.environment) : undefined
  if (source === 'draft' && input.environment !== undefined) {
    throw new AppError('invalid', 'Drafts are in no environment.', {
      remedy: 'Choose published content, or leave the environment out.',
      fields: { environment: ['only with published content'] }
    })
  }
  if (input.filter) for (const contentType of contentTypes) await askFilter(stack, contentType, input.filter)
  return {
    source,
    ...(environment && { environment }),
    ...(input.filter && { filter: input.filter }),
    ...(input.references && { references: input.references }),
    ...(input.richText && { richText: input.richText })
  }
}

/** AppError invalid for a branch the stack has not (aliases are none: webhooks do not name them), forbidden where the token does not reach it. */
export async function checkBranch(stack: StackClient, branch: string): Promise<void> {
  if (branch === 'main') return
  const known = (await orNone(stack.branches())).map(({ uid }) => uid)
  if (known.length > 0 && !known.includes(branch)) throw unknownBranch(branch, known)
  try {
    await stack.with({ branch }).health()
  } catch (error) {
    if (isAppError(error, 'invalid') || isAppError(error, 'not_found')) throw unknownBranch(branch, known)
    if (!isAppError(error, 'forbidden')) throw error
    throw new AppError('forbidden', `The management token does not reach the branch "${branch}".`, {
      remedy: `Put a token into custody that names ${branch} among its branches.`,
      cause: error
    })
  }
}

/** A stack without branches may refuse the list of them, a token without main may not ask for it there. */
async function orNone<T>(list: Promise<T[]>): Promise<T[]> {
  try {
    return await list
  } catch (error) {
    if (isAppError(error, 'invalid') || isAppError(error, 'not_found') || isAppError(error, 'forbidden')) return []
    throw error
  }
}

function unknownBranch(branch: string, known: readonly string[]): AppError {
  return new AppError('invalid', `The stack has no branch "${branch}".`, {
    remedy: known.length > 0 ? `Its branches: ${known.join(', ')}.` : 'Branches are named by their uid, not by an alias.',
    fields: { branch: [`unknown: ${branch}`] }
  })
}

async function environmentNamed(stack: StackClient, name: string | undefined): Promise<{ uid: string; name: string }> {
  const known = await stack.environments()
  const found = known.find(environment => environment.name === name)
  if (found) return { uid: found.uid, name: found.name }
  throw new AppError('invalid', name === undefined ? 'Name the environment.' : `The stack has no environment "${name}".`, {
    remedy: `Its environments: ${known.map(environment => environment.name).join(', ')}.`,
    fields: { environment: [name === undefined ? 'needed for published content' : `unknown: ${name}`] }
  })
}

const joining = new Set(['$and', '$or'])
const comparing = new Set(['$eq', '$ne', '$gt', '$gte', '$lt', '$lte', '$in', '$nin', '$exists', '$regex', '$options'])
/** The query travels in an address. */
const filterCharacters = 2000
const filterDepth = 6

/** AppError invalid with fields: size, depth, operators. */
export function checkFilter(filter: Record<string, unknown>): void {
  const length = JSON.stringify(filter).length
  if (length > filterCharacters) throw refusedFilter(`it has ${length} characters, at most ${filterCharacters} are possible`)
  if (Object.keys(filter).length === 0) throw refusedFilter('it is empty')
  walkFilter(filter, 1)
}

function walkFilter(value: unknown, depth: number): void {
  if (depth > filterDepth) throw refusedFilter(`it is nested deeper than ${filterDepth} levels`)
  if (Array.isArray(value)) for (const item of value) walkFilter(item, depth + 1)
  if (value === null || typeof value !== 'object' || Array.isArray(value)) return
  for (const [key, inner] of Object.entries(value)) {
    if (key.startsWith('$') && !joining.has(key) && !comparing.has(key))
      throw refusedFilter(`"${key.slice(0, 40)}" is no operator that can be used`)
    if (joining.has(key) && !(Array.isArray(inner) && inner.length > 0)) throw refusedFilter(`"${key}" needs a list of conditions`)
    walkFilter(inner, depth + 1)
  }
}

async function askFilter(stack: StackClient, contentType: ContentType, filter: Record<string, unknown>): Promise<void> {
  try {
    await recordsOf(stack, contentType.uid).page({ query: filter, limit: 1, only: ['uid'] })
  } catch (error) {
    if (!isAppError(error, 'invalid') && !isAppError(error, 'not_found')) throw error
    throw refusedFilter(`the stack does not take it for ${contentType.uid}: ${error.message}`, error)
  }
}

function refusedFilter(why: string, cause?: Error): AppError {
  return new AppError('invalid', `The filter cannot be used: ${why}.`, {
    remedy: `It is a query as the Content Management API takes it, for example {"category":"news"}; operators: ${[...joining, ...comparing].join(' ')}.`,
    fields: { filter: [why] },
    ...(cause && { cause })
  })
}
