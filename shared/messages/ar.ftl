### العربية: ما يقرؤه العملاء.

## عناوين المشكلات

problem-malformed-request = تعذّرت قراءة الطلب
problem-unauthenticated = هوية صاحب الطلب غير معروفة
problem-wrong-login = اسم الدخول أو كلمة المرور غير صحيحة
problem-session-over = انتهت جلسة الدخول
problem-sign-in-refused = رُفض تسجيل الدخول
problem-wrong-password = كلمة المرور غير صحيحة
problem-forbidden = لا تسمح الصلاحية بهذا
problem-same-person = يحتاج هذا إلى شخص آخر
problem-device-revoked = الجهاز لم يعد مستخدماً
problem-not-found = لا يوجد شيء بهذا المعرّف
problem-method-not-allowed = هذه العملية غير متاحة لهذا المسار
problem-request-timeout = تأخّر وصول الطلب كثيراً
problem-conflict = يتعارض مع ما هو موجود
problem-already-decided = تمّ البتّ فيه من قبل
problem-quote-expired = انتهت صلاحية العرض السعري
problem-quote-changed = تغيّر المبلغ
problem-offer-not-eligible = هذا العرض لا يناسب عملية الشراء هذه
problem-limit-exceeded = تمّ تجاوز الحدّ
problem-illegal-transition = لا يمكن ذلك الآن
problem-consent-missing = الموافقة غير موجودة
problem-sign-in-code-refused = رمز المرة الواحدة غير صحيح أو لم يعد صالحاً
problem-phone-shared = لعدة عملاء رقم الهاتف هذا
problem-phone-taken = رقم الهاتف هذا لعميل آخر
problem-still-held = لا يمكن الإفراج عنه كما هو
problem-id-taken = الاسم أو المعرّف مستخدم
problem-enrolment-code-used = استُخدم رمز التسجيل من جهاز آخر
problem-stale-request = رقم الطلب لا يتزايد
problem-recovery-unconfirmed = استرجاع البيانات بانتظار التأكيد
problem-precondition-failed = تغيّر منذ آخر قراءة
problem-too-large = الطلب كبير جداً
problem-unsupported-media-type = نوع البيانات غير مقبول هنا
problem-validation = الطلب غير صالح
problem-enrolment-code-unknown = لا يوجد رمز تسجيل كهذا
problem-enrolment-code-expired = انتهت صلاحية رمز التسجيل
problem-idempotency-key-missing = ينقص الطلب الترويسة Idempotency-Key
problem-idempotency-in-flight = الطلب الأول ما زال قيد المعالجة
problem-idempotency-reused = هذا المفتاح يخصّ طلباً آخر
problem-precondition-required = ينقص الطلب الترويسة If-Match
problem-too-many-requests = محاولات كثيرة جداً
problem-internal = حدث عطل في الخادم
problem-unavailable = لا يستطيع الخادم الإجابة الآن

## ما يقرؤه العملاء

customer-receipt = { $lender }: استلمنا { $amount } للحساب { $account } بتاريخ { $date }. رقم الإيصال { $receipt }.
customer-awaiting_confirmation = { $lender }: دفعتكم بمبلغ { $amount } بانتظار تأكيد مزوّد الخدمة.
customer-account_paid = { $lender }: سُدّد الحساب { $account } بالكامل. شكراً لكم.
customer-sign_in_code = { $lender }: رمزكم هو { $code }. يصلح لمدة { $minutes } دقائق. لن يطلبه منكم أحد من موظفينا.
customer-phone_changed = { $lender }: تغيّر رقم هاتف حسابكم. إن لم تكونوا أنتم من غيّره فأخبروا أحد متاجرنا فوراً.
customer-instalments_left = { $count ->
    [zero] لم يبقَ أي قسط.
    [one] بقي قسط واحد.
    [two] بقي قسطان.
    [few] بقيت { $count } أقساط.
    [many] بقي { $count } قسطاً.
   *[other] بقي { $count } قسط.
}
