// Who else must be there: Contentstack's hosts in each region we have an app for, their signing keys, and the identity providers; and
// whether all of them agree with us on what time it is.
import type { AppCredentials } from '../../contentstack/oauth.ts'
import { publicKeyOf } from '../../contentstack/signatures.ts'
import type { IdentityProvider } from '../../config.ts'
import type { Check } from '../../http/contract/doctor.ts'
import { bad, few, ok, type Probe, spanOf, warn } from './check.ts'
import { type Answered, isReached, reach } from './wire.ts'

const hostNames = ['application', 'contentManagement', 'developerHub'] as const

/** Above the first a row warns, above the second it is bad: webhooks, grants and marks are judged by their age. */
const clockSeconds = { warn: 5, bad: 60 }

export function regionProbes(apps: readonly AppCredentials[]): Probe[] {
  const regions = [...new Map(apps.map(({ region }) => [region.id, region])).values()]
  return regions.flatMap(region => [
    {
      name: `hosts ${region.id}`,
      async run(signal) {
        const asked = await Promise.all(
          hostNames.map(async name => ({ host: new URL(region[name]).host, outcome: await reach(region[name], { signal }) }))
        )
        const answers: Answered[] = []
        const rows: Check[] = []
        for (const { host, outcome } of asked) {
          if (isReached(outcome)) answers.push(outcome)
          else rows.push(bad(`hosts ${region.id}`, `${host} is not reached: ${outcome.why}.`, outcome.remedy))
        }
        if (rows.length === 0) {
          const words = asked.map(({ host, outcome }) => `${host} ${isReached(outcome) ? outcome.milliseconds : ''} ms`).join(', ')
          rows.push(ok(`hosts ${region.id}`, `${words}; our client id and secret are not tried, since nothing harmless proves them`))
        }
        return [
          ...rows,
          ...clockRow(
            region.id,
            answers.flatMap(({ clockAhead }) => clockAhead ?? [])
          )
        ]
      }
    },
    {
      name: `signing key ${region.id}`,
      lateRemedy: 'Without it no webhook and no page of the app is believed; see the hosts of the region.',
      async run() {
        await publicKeyOf(region)
        return [ok(`signing key ${region.id}`, 'read; webhooks and app-tokens of this region can be checked')]
      }
    }
  ])
}

/** The middle one: a single host that is wrong is not our clock. `theirs` in milliseconds that we are ahead. */
function clockRow(source: string, ahead: readonly number[]): Check[] {
  const middle = ahead.toSorted((a, b) => a - b)[Math.floor(ahead.length / 2)]
  return middle === undefined ? [] : [clockCheck(source, middle)]
}

export function clockCheck(source: string, ahead: number): Check {
  const name = `clock ${source}`
  const seconds = Math.abs(ahead) / 1000
  if (seconds <= clockSeconds.warn) return ok(name, 'agrees with ours within 5 s')
  const words = `This machine's clock is ${spanOf(ahead)} ${ahead > 0 ? 'ahead of' : 'behind'} that of ${source}.`
  const remedy = 'Set it by NTP (timedatectl set-ntp true): webhooks, grants and commands are refused by their age.'
  return seconds > clockSeconds.bad ? bad(name, words, remedy) : warn(name, words, remedy)
}

/** `ask` is the guard's fetch: what it refuses to the server is refused here. */
export function loginProbes(
  providers: readonly IdentityProvider[],
  { publicUrl, production, ask }: { publicUrl: string | undefined; production: boolean; ask: typeof fetch }
): Probe[] {
  if (providers.length === 0) {
    const row = warn(
      'login',
      'There is no identity provider, so nobody can log in to the console.',
      'Add one to the tenants file: docs/operating.md.'
    )
    return [{ name: 'login', run: () => [row] }]
  }
  return providers.map(({ id, issuer, groupRoles }) => ({
    name: `login ${id}`,
    async run(signal) {
      const name = `login ${id}`
      if (production && !issuer.startsWith('https://'))
        return [bad(name, `${issuer} is not https, which production refuses.`, 'Correct "issuer" in the tenants file.')]
      const outcome = await reach(`${issuer}/.well-known/openid-configuration`, { signal, fetch: ask, body: true })
      if (!isReached(outcome)) return [bad(name, `The identity provider ${issuer} is not reached: ${outcome.why}.`, outcome.remedy)]
      const remedy = 'Correct "issuer" in the tenants file: it is what the provider calls itself, to the letter.'
      const found = outcome.status === 200 ? discovered(outcome.text) : null
      if (!found) return [bad(name, `${issuer} describes no OpenID provider (status ${outcome.status}).`, remedy)]
      if (!URL.canParse(found.issuer) || new URL(found.issuer).href !== new URL(issuer).href)
        return [bad(name, `What answers at ${issuer} calls itself ${found.issuer.slice(0, 200)}.`, remedy)]
      const missing = needed.filter(field => !found.fields.includes(field))
      if (missing.length > 0) return [bad(name, `${issuer} names no ${few(missing)}.`, 'Ask whoever runs the provider.')]
      if (Object.keys(groupRoles).length === 0)
        return [
          warn(
            name,
            'No group has a role, so everybody who logs in is a stranger.',
            'Add "groupRoles" in the tenants file: docs/operating.md.'
          )
        ]
      const redirect = publicUrl === undefined ? '' : `; redirect address to register there: ${publicUrl}/console/callback/${id}`
      return [
        ok(name, `${issuer} answers as itself${redirect}`),
        ...clockRow(`login ${id}`, outcome.clockAhead === null ? [] : [outcome.clockAhead])
      ]
    }
  }))
}

/** https://openid.net/specs/openid-connect-discovery-1_0.html#ProviderMetadata */
const needed = ['authorization_endpoint', 'token_endpoint', 'jwks_uri']

function discovered(text: string): { issuer: string; fields: string[] } | null {
  try {
    const body: unknown = JSON.parse(text)
    if (typeof body !== 'object' || body === null || !('issuer' in body) || typeof body.issuer !== 'string') return null
    return { issuer: body.issuer, fields: Object.keys(body) }
  } catch {
    return null
  }
}
