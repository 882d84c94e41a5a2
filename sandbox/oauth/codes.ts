// One-time codes: made when a person consents or an app is installed, taken at the token endpoint. A code lives 60 s on the
// sandbox's clock and works once (reference §3.1). Knows nothing of clients or tokens.
import { randomBytes } from 'node:crypto'
import type { SandboxContext } from '../context.ts'
import type { OAuthCode } from '../world/model.ts'

const codeSeconds = 60

/** The `location` of every callback: on the platform NA, EU, …; the sandbox is a region of its own. */
export const sandboxLocation = 'SANDBOX'

/** Stores a code and returns the address that the browser is sent to. */
export function redirectWithCode(
  context: SandboxContext,
  code: Omit<OAuthCode, 'expiresAt'>,
  extra: Record<string, string | undefined>
): string {
  const value = randomBytes(24).toString('hex')
  const now = context.clock.now()
  for (const [old, { expiresAt }] of Object.entries(context.world.oauthCodes)) {
    if (Date.parse(expiresAt) <= now) delete context.world.oauthCodes[old]
  }
  context.world.oauthCodes[value] = { ...code, expiresAt: new Date(now + codeSeconds * 1000).toISOString() }
  const url = new URL(code.redirectUri)
  url.searchParams.set('code', value)
  url.searchParams.set('location', sandboxLocation)
  for (const [name, text] of Object.entries(extra)) if (text !== undefined) url.searchParams.set(name, text)
  return url.href
}

/** Removes and returns the code; null when it is unknown, used or older than 60 s. */
export function takeCode(context: SandboxContext, value: string): OAuthCode | null {
  const code = Object.hasOwn(context.world.oauthCodes, value) ? context.world.oauthCodes[value] : undefined
  if (!code) return null
  delete context.world.oauthCodes[value]
  return Date.parse(code.expiresAt) > context.clock.now() ? code : null
}
