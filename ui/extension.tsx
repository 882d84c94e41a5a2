// The app inside Contentstack's frames. The address says which location this is; the app-token leaves the address before
// anything else happens.
import { Suspense } from 'react'
import { takeAppToken } from './api/session.ts'
import { Waiting } from './components/basics.tsx'
import { HostProvider } from './host/host-provider.tsx'
import { locationAt } from './locations/paths.ts'
import { locations } from './locations/table.tsx'
import { showPage } from './page.tsx'

const appToken = takeAppToken()
const location = locationAt(window.location.pathname)
const Page = location && locations[location]

showPage(
  Page ? (
    <HostProvider appToken={appToken}>
      <Suspense
        fallback={
          <main className="sidebar">
            <Waiting label="the page" />
          </main>
        }
      >
        <Page />
      </Suspense>
    </HostProvider>
  ) : (
    <main className="alone">
      <h1>There is no such page</h1>
      <p>The app has no page at this address. Open Quayside again from Contentstack.</p>
    </main>
  )
)
