// One question to Contentstack: does it accept this management token for this stack? The health request of the CLI (reference §1.5),
// which changes nothing and counts as a person's. Stores nothing and decides nothing.
import { type Cma, createCma } from '../contentstack/cma.ts'
import type { AppCredentials } from '../contentstack/oauth.ts'
import { cmaErrorOf, isTokenRefusal } from '../contentstack/refusal.ts'
import { createStack } from '../contentstack/stack.ts'
import type { Log } from '../log.ts'
import type { Budget } from './budget.ts'
import { fetchOf } from './install.ts'
import type { Installation } from './installation.ts'

export interface ProbeDeps {
  budget: Budget
  log: Log
  fetch?: typeof fetch
}

export interface ProbeInput {
  app: AppCredentials
  installation: Installation
  token: string
  /** One that the token reaches; Contentstack's default without. */
  branch?: string | undefined
  signal?: AbortSignal | undefined
}

/** `refused` is 401 with code 105 and nothing else. Throws AppError upstream | rate_limited when Contentstack does not say. */
export async function probeToken(deps: ProbeDeps, input: ProbeInput): Promise<'accepted' | 'refused'> {
  try {
    await createStack(cmaWithToken(deps, input), { lane: 'people' }).health()
    return 'accepted'
  } catch (error) {
    if (isTokenRefusal(error)) return 'refused'
    // A branch out of its reach, a permission it lacks: the token itself was known.
    const status = cmaErrorOf(error)?.status ?? 500
    if (status < 500 && status !== 429) return 'accepted'
    throw error
  }
}

/** A client that carries this one token, whatever the vault holds. */
export function cmaWithToken(deps: ProbeDeps, { app, installation, token, branch, signal }: ProbeInput): Cma {
  const organizationId = installation.organization_id
  const cma = createCma({
    region: app.region,
    apiKey: installation.stack_api_key,
    ...(branch !== undefined && { branch }),
    credential: () => Promise.resolve({ header: 'authorization', value: token }),
    acquire: (kind, _lane, turnSignal) => deps.budget.acquire(organizationId, kind, 'people', turnSignal ?? signal),
    learn: (kind, news) => deps.budget.learn(organizationId, kind, news),
    log: deps.log,
    ...fetchOf(deps)
  })
  return { ...cma, request: request => cma.request({ ...request, ...(signal && { signal }) }) }
}

/** The first branch that a token's row says it reaches. */
export function branchOf({ branches_json: json }: { branches_json: string }): string | undefined {
  return (JSON.parse(json) as string[])[0]
}
