// Is this management token good for what we need? A few requests that change nothing, to this stack in this region only. What the CMA
// does not tell apart (expired, revoked, another stack's) is not told apart here. Stores nothing.
import { randomBytes } from 'node:crypto'
import type { Cma } from '../contentstack/cma.ts'
import type { AppCredentials } from '../contentstack/oauth.ts'
import { cmaErrorOf, isPermissionRefusal, isTokenRefusal } from '../contentstack/refusal.ts'
import { createStack, type StackClient } from '../contentstack/stack.ts'
import type { TokenScope } from '../contentstack/tokens.ts'
import { isAppError } from '../errors.ts'
import { type Admins, readAdmins } from './admins.ts'
import type { Installation } from './installation.ts'
import { cmaWithToken, type ProbeDeps } from './probe.ts'
import type { VerificationRow, Verified } from './token.ts'

export interface VerifyInput {
  app: AppCredentials
  installation: Installation
  token: string
  /** Each must be reached; the first is where everything else is tried. Empty = find out, beginning with main. */
  branches: string[]
  /** The token's own, read through a grant; null for a pasted one. */
  scope: TokenScope[] | null
  signal?: AbortSignal
}

export interface Verification extends Verified {
  /** null = good; otherwise why it is not, for people. */
  refusal: { message: string; remedy: string; tokenRefused: boolean } | null
  /** Owner and admins of the stack; null when the token may not read roles. */
  admins: ReadonlySet<string> | null
}

const maxBranchesTried = 20

/** Throws AppError upstream | rate_limited when it cannot be told now. */
export async function verifyToken(deps: ProbeDeps, input: VerifyInput): Promise<Verification> {
  const rows: VerificationRow[] = []
  const refused = (message: string, remedy: string, tokenRefused = false): Verification => ({
    rows,
    branches: [],
    masterLocale: null,
    stackName: null,
    admins: null,
    refusal: { message, remedy, tokenRefused }
  })
  const { app, installation, token, signal } = input
  const cma = cmaWithToken(deps, { app, installation, token, branch: input.branches[0], signal })
  const branches = input.branches.length > 0 ? [...input.branches] : ['main']

  for (const branch of branches) {
    const no = await refusalFrom(createStack(cma, { branch }).health())
    if (no === null) {
      if (branch === branches[0]) {
        rows.push({ check: 'stack', result: 'granted', detail: `${installation.stack_api_key} in region ${app.region.id}` })
        rows.push({ check: 'alive', result: 'granted', detail: 'Contentstack accepts it.' })
      }
      rows.push({ check: `branch ${branch}`, result: 'granted', detail: 'Readable.' })
    } else if (isTokenRefusal(no)) {
      rows.push({ check: 'alive', result: 'refused', detail: no.message })
      return refused(
        'Contentstack does not accept this management token for this stack',
        'It is mistyped, expired, revoked, a delivery token, or of another stack or region: Contentstack does not say which. Make a new one under Settings > Tokens of this very stack.',
        true
      )
    } else if (cmaErrorOf(no)?.errorCode === 109) {
      rows.push({ check: 'stack', result: 'refused', detail: no.message })
      return refused('Contentstack does not know this stack in this region', 'Look whether the app was installed in another region.')
    } else {
      rows.push({ check: `branch ${branch}`, result: 'refused', detail: no.message })
      return refused(`This management token does not reach the branch ${branch}`, `Make one whose branch scope includes ${branch}.`)
    }
  }

  const unreadable = await refusalFrom(cma.request({ method: 'GET', path: '/content_types', query: { limit: 1 } }))
  rows.push({ check: 'read', result: unreadable ? 'refused' : 'granted', detail: unreadable?.message ?? 'Content types are readable.' })
  if (unreadable) return refused('This management token may not read content', 'Make one with read and write permission.')

  const write = await writeRow(cma, input.scope)
  rows.push(write)
  if (write.result === 'refused') {
    return refused('This management token is read-only', 'Make one with read and write permission under Settings > Tokens of the stack.')
  }

  const stack = createStack(cma)
  if (input.branches.length === 0) {
    for (const { uid } of (await branchesOf(stack)).slice(0, maxBranchesTried)) {
      if (branches.includes(uid)) continue
      const no = await refusalFrom(createStack(cma, { branch: uid }).health())
      rows.push({ check: `branch ${uid}`, result: no ? 'refused' : 'granted', detail: no?.message ?? 'Readable.' })
      if (!no) branches.push(uid)
    }
  }
  const locales = await stack.locales()
  const roles = await readAdmins(stack).catch((error: unknown): Admins | null => {
    if (isPermissionRefusal(error) || isAppError(error, 'unauthorized')) return null
    throw error
  })
  const masterLocale = locales.find(locale => !locale.fallback_locale)?.code ?? null
  return { rows, branches, masterLocale, stackName: roles?.stackName ?? null, admins: roles?.admins ?? null, refusal: null }
}

/** What Contentstack says against it, or null. Rethrows what is no answer to the question (network, 429, 5xx). */
async function refusalFrom(answer: Promise<unknown>): Promise<Error | null> {
  try {
    await answer
    return null
  } catch (error) {
    const status = cmaErrorOf(error)?.status ?? 500
    if (error instanceof Error && status < 500 && status !== 429) return error
    throw error
  }
}

/** A stack without branches may refuse to list them; a pasted token may not be allowed to. */
async function branchesOf(stack: StackClient): Promise<{ uid: string }[]> {
  try {
    return await stack.branches()
  } catch (error) {
    const status = cmaErrorOf(error)?.status ?? 500
    if (status < 500 && status !== 429 && !isTokenRefusal(error)) return []
    throw error
  }
}

/**
 * Only a real write proves the permission, and verification writes nothing. Through a grant the token's scope is read; otherwise an
 * entry is offered to a content type that does not exist: refused for permission means no, refused for the content type means likely,
 * since it is not established which of the two Contentstack looks at first.
 */
async function writeRow(cma: Cma, scope: TokenScope[] | null): Promise<VerificationRow> {
  const check = 'write'
  const content = scope?.find(({ module }) => module === 'content_type' || module === '$all')
  if (content?.acl.write === true) return { check, result: 'granted', detail: 'Read from the scope of the token.' }
  if (content) return { check, result: 'refused', detail: 'Its scope has no write permission.' }
  const path = `/content_types/quayside_no_such_type_${randomBytes(4).toString('hex')}/entries`
  const no = await refusalFrom(cma.request({ method: 'POST', path, json: { entry: {} } }))
  if (no === null) return { check, result: 'unknown', detail: 'Contentstack accepted an entry of a content type that does not exist.' }
  if (isPermissionRefusal(no) || isAppError(no, 'unauthorized')) return { check, result: 'refused', detail: no.message }
  return { check, result: 'likely', detail: 'Contentstack did not refuse it for permission; the first real write will prove it.' }
}
