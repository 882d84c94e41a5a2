// The signed proof that a UI location of an app is shown by the CMS, to this person, for this installation: an RS256 JWT of five
// minutes, put into the iframe's address. Carries no role and no e-mail (reference §6); two made within a second are identical.
import { createPrivateKey, sign } from 'node:crypto'
import type { SandboxContext } from '../context.ts'
import type { Installation, User } from '../world/model.ts'

const lifeSeconds = 300

export function mintAppToken(context: SandboxContext, installation: Installation, user: User): string {
  const issuedAt = Math.floor(context.clock.now() / 1000)
  const claims = {
    app_uid: installation.appUid,
    installation_uid: installation.uid,
    organization_uid: installation.organizationUid,
    user_uid: user.uid,
    ...(installation.target.type === 'stack' && { stack_api_key: installation.target.uid }),
    // Whether the platform sets these two is not established.
    ...(context.plays.appTokenClaims === 'with-iss-aud' && { iss: context.urls.application, aud: installation.appUid }),
    iat: issuedAt,
    exp: issuedAt + lifeSeconds
  }
  const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url')
  const signed = `${part({ alg: 'RS256', typ: 'JWT' })}.${part(claims)}`
  const signature = sign('RSA-SHA256', Buffer.from(signed), createPrivateKey(context.world.signing.privatePem))
  return `${signed}.${signature.toString('base64url')}`
}
