// The way in: there are no passwords here, the organization's own identity provider asks for them.
import { loginAddress } from '../api/console.ts'
import { Notice } from '../components/basics.tsx'
import { Receipt, useReceipt } from './receipt.tsx'

export function Login({ returning }: { returning: boolean }) {
  const receipt = useReceipt()
  const { pathname, search, hash } = window.location
  // What stands behind a # never reaches the server, so a reminder's #token would be lost on the way through the login.
  const back = `${pathname}${hash === '#token' && search === '' ? '?rotate' : search}`
  return (
    <main className="alone">
      <h1>Quayside console</h1>
      {receipt ? <Receipt receipt={receipt} /> : null}
      {returning && !receipt ? (
        <Notice tone="quiet" title="Your session has ended.">
          <p>Log in again to go on where you were.</p>
        </Notice>
      ) : null}
      <p>For the people who run Quayside: installations, syncs, runs, access keys and the audit log of your organizations.</p>
      <a className={`button ${receipt ? '' : 'button-primary'}`} href={loginAddress(back)}>
        Log in with your organization
      </a>
      <p className="muted">
        Stack admins need no login here: all that concerns one stack is on the app's configuration page inside Contentstack.
      </p>
    </main>
  )
}
