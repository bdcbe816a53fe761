### Kiswahili: kile watu wanachosoma kwa kila msimbo.

## Hali ya rekodi

outcome-pending = inasubiri kutumwa
outcome-posted = imeingizwa kwenye leja
outcome-noted = imepokelewa
outcome-held = imesimamishwa
outcome-refused = imekataliwa
outcome-confirming = inathibitishwa

## Aina za rekodi

type-VISIT = ziara
type-REPAYMENT = malipo
type-PROMISE = ahadi ya kulipa
type-CORRECTION = marekebisho
type-CASH_HANDOVER = makabidhiano ya fedha taslimu
type-TRANSACTION_CHECK = ukaguzi wa muamala
type-CALL_ATTEMPT = jaribio la kupiga simu
type-CONTACT_UPDATE = mabadiliko ya mawasiliano
type-COMPLAINT = malalamiko
type-CASE_HANDOVER = makabidhiano ya kesi
type-STOP_EVENT = kituo cha mpango wa siku
type-DEVICE_EVENT = tukio la simu
type-WEEKLY_CONTACT = mawasiliano ya wiki
type-FLOAT_CHECK = ukaguzi wa salio la wakala
type-ISSUE_REPORT = ripoti ya tatizo
type-ISSUE_EVENT = tukio la tatizo
type-TRAINING = mafunzo
type-AGENT_REGISTRATION = usajili wa wakala
type-OTHER = rekodi ya programu mpya zaidi

## Kwa nini rekodi imesimamishwa au imekataliwa, na la kufanya

reason-DUP_RECEIPT = namba ya risiti imeshatumika; ofisi itakuuliza ni ya malipo gani
reason-FOREIGN_BLOCK = namba ya risiti ni ya simu nyingine; iambie ofisi imetoka wapi
reason-NOT_ENTITLED = kesi hii haikuwahi kupewa wewe; ofisi inapaswa kuiruhusu rekodi
reason-MISSING_REF = inarejelea rekodi ambayo ofisi bado haijaipata; huna la kufanya
reason-CURRENCY_MISMATCH = fedha si za sarafu ya akaunti; ofisi itaziingiza au kuzirudisha
reason-AMOUNT = kiasi hiki hakiwezi kuwa sahihi; ofisi itakuuliza
reason-BACKDATED = tarehe imepita zaidi ya siku saba; msimamizi anapaswa kuiruhusu
reason-AFTER_DEACTIVATION = ilirekodiwa baada ya simu au mtumiaji kuzimwa; ofisi inapaswa kuiruhusu
reason-DEVICE_LOST = simu hii imeripotiwa kupotea; ofisi inalinganisha risiti za karatasi
reason-AWAITING_PROVIDER = mtoa huduma bado hajathibitisha fedha; huna la kufanya
reason-PROVIDER_DIFFERS = mtoa huduma ana kiasi au akaunti tofauti kwa kumbukumbu hii; ofisi itakuuliza
reason-UNKNOWN_ACCOUNT = hakuna akaunti kama hiyo, au ilifutwa; ofisi itakuuliza
reason-NOT_IN_HAND = makabidhiano yanataja kitu ambacho si fedha taslimu zilizo mkononi mwako; angalia orodha
reason-WRONG_DOSSIER = iko mahali pasipofaa; ofisi itairuhusu, au itakuomba uirekodi tena
reason-WRONG_REF = inayoihusu ni rekodi ya aina nyingine; iangalie, kisha rekodi tena
reason-MALFORMED = rekodi imeharibika; rekodi tena na uiambie ofisi
reason-FIELD = sehemu moja haifuati kanuni yake; rekodi tena
reason-FOREIGN = ilirekodiwa kwenye simu tofauti na iliyoituma; ofisi inachunguza
reason-ID_TAKEN = kitambulisho chake ni cha rekodi nyingine; ofisi inachunguza
reason-FAILED = ofisi haikuweza kuishughulikia; imehifadhiwa na watu wanaichunguza
reason-DUPLICATE = malipo yale yale yalirekodiwa mara mbili; rekodi ile nyingine ndiyo inayobaki
reason-REJECTED = ofisi imeikataa; muulize msimamizi wako
reason-REPLACED = ofisi imerekodi iliyo sahihi badala yake
reason-OTHER = kwa sababu ambayo toleo hili la programu halijui; iulize ofisi

## La kujua kuhusu rekodi iliyokubaliwa

flag-BACKDATED = inahesabiwa kwa siku iliyopita
flag-VALUE_DATE_AHEAD = tarehe ilikuwa ya mbele na imerudishwa
flag-POST_REASSIGN = kesi ilikuwa imepewa mwenzako
flag-TIME_UNPROVEN = wakati wa kurekodi hauwezi kuthibitishwa
flag-LIKELY_DUPLICATE = inafanana na malipo mengine ya siku hiyo
flag-OUT_OF_BLOCK = namba ya risiti haimo kwenye kitabu cha mtu yeyote
flag-PROVISIONAL_RECEIPT = namba ya risiti ni ya muda
flag-EVIDENCE_PENDING = picha au sahihi bado haijafika
flag-OVER_PAYOFF = zaidi ya mara 1.2 ya deni lililobaki
flag-OVER_LIMIT = zilipokelewa kupita kikomo cha fedha taslimu au muda wa kuingia
flag-ACCOUNT_CLOSED = akaunti ilikuwa imeshalipwa; fedha ni salio la mteja
flag-BEFORE_DISBURSAL = yalilipwa kabla akaunti haijaanza
flag-RECOVERY = deni lilikuwa limefutwa; yamehesabiwa kama urejeshaji
flag-REVERSED = imebatilishwa na msimamizi
flag-RELEASED = imeruhusiwa na ofisi
flag-PROVIDER_CONFIRMED = imethibitishwa na mtoa huduma
flag-PROMISE_DATE = siku ya ahadi iko nje ya muda unaoruhusiwa
flag-CLOCK_SKEW = saa ya simu haikuwa sahihi
flag-UNKNOWN_TYPE = aina ya rekodi ambayo ofisi bado haiijui
flag-OTHER = imewekewa alama na ofisi

## Kwa nini maneno kwenye ubao hayakuunganishwa

board-NOT_ENTITLED = kesi ilikuwa imepewa mwenzako
board-AFTER_QUARANTINED = ulichoandika kabla yake hakikuweza kuunganishwa
board-KEY_NOT_OWNED = sehemu hii ya ubao si yako kuandika
board-BOARD_FULL = ubao umejaa; ondoa kitu kwanza
board-CHANGED = ubao ulikuwa umebadilika; andika tena ikiwa bado ni muhimu
board-SET_BACK = nakala ya ubao ya ofisi ilirudishwa nyuma; andika tena ikiwa bado ni muhimu
board-MAY_HAVE_ARRIVED = huenda ofisi imeshapata; angalia ubao, na uandike tena ikiwa haipo
board-OTHER = haikuweza kuunganishwa; andika tena, na uiambie ofisi ikitokea mara mbili

## Hali ya simu

health-ok = ilisawazishwa ndani ya siku moja
health-late = haijasawazishwa kwa zaidi ya siku moja
health-silent = haijasawazishwa kwa muda mrefu kuliko unaoruhusiwa
health-never = haijawahi kusawazishwa

## Vichwa vya matatizo

problem-malformed-request = Ombi haliwezi kusomeka
problem-unauthenticated = Anayeomba hajulikani
problem-wrong-login = Jina la kuingia au nywila si sahihi
problem-session-over = Muda wa kuingia umekwisha
problem-sign-in-refused = Kuingia kumekataliwa
problem-wrong-password = Nywila si sahihi
problem-forbidden = Wajibu wako hauruhusu hili
problem-same-person = Hili linahitaji mtu mwingine
problem-device-revoked = Kifaa hakitumiki tena
problem-not-found = Hakuna kitu kama hicho
problem-method-not-allowed = Njia hii haina tendo hilo
problem-request-timeout = Ombi limechukua muda mrefu kufika
problem-conflict = Linagongana na kilichopo
problem-already-decided = Lilishaamuliwa
problem-quote-expired = Makadirio yameisha muda
problem-quote-changed = Kiasi kimebadilika
problem-offer-not-eligible = Ofa hii si ya ununuzi huu
problem-limit-exceeded = Kikomo kimepitwa
problem-illegal-transition = Hilo haliwezekani kwa sasa
problem-consent-missing = Ridhaa haipo
problem-sign-in-code-refused = Msimbo wa mara moja si sahihi, au haufai tena
problem-phone-shared = Wateja kadhaa wana namba hii ya simu
problem-phone-taken = Mteja mwingine ana namba hii ya simu
problem-still-held = Haiwezi kuruhusiwa ilivyo
problem-id-taken = Jina au kitambulisho kinatumika
problem-enrolment-code-used = Msimbo wa kusajili umetumiwa na kifaa kingine
problem-stale-request = Namba ya ombi haiongezeki
problem-recovery-unconfirmed = Urejeshaji unasubiri kuthibitishwa
problem-precondition-failed = Kimebadilika tangu kiliposomwa
problem-too-large = Ombi ni kubwa mno
problem-unsupported-media-type = Aina hii ya data haipokelewi hapa
problem-validation = Ombi si sahihi
problem-enrolment-code-unknown = Hakuna msimbo wa kusajili kama huo
problem-enrolment-code-expired = Muda wa msimbo wa kusajili umeisha
problem-idempotency-key-missing = Idempotency-Key haipo
problem-idempotency-in-flight = Ombi la kwanza bado linashughulikiwa
problem-idempotency-reused = Ufunguo huu ni wa ombi jingine
problem-precondition-required = If-Match haipo
problem-too-many-requests = Majaribio ni mengi mno
problem-internal = Seva imeshindwa
problem-unavailable = Seva haiwezi kujibu sasa

## Wanachosoma wateja

customer-receipt = { $lender }: tumepokea { $amount } kwa akaunti { $account } tarehe { $date }. Risiti { $receipt }.
customer-awaiting_confirmation = { $lender }: malipo yako ya { $amount } yanasubiri uthibitisho wa mtoa huduma.
customer-account_paid = { $lender }: akaunti { $account } imelipwa yote. Asante.
customer-sign_in_code = { $lender }: msimbo wako ni { $code }. Unatumika kwa dakika { $minutes }. Hakuna mtu wetu atakayekuuliza.
customer-phone_changed = { $lender }: namba ya simu ya akaunti yako imebadilishwa. Kama si wewe, liambie duka mara moja.
customer-instalments_left = { $count ->
    [0] Hakuna awamu iliyobaki.
    [one] Imebaki awamu moja.
   *[other] Zimebaki awamu { $count }.
}
