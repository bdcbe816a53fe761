### العربية: ما يقرؤه العملاء.

## عناوين المشكلات

problem-malformed_request = تعذّرت قراءة الطلب
problem-unauthenticated = هوية صاحب الطلب غير معروفة
problem-wrong_login = اسم الدخول أو كلمة المرور غير صحيحة
problem-forbidden = لا تسمح الصلاحية بهذا
problem-same_person = يحتاج هذا إلى شخص آخر
problem-device_revoked = الجهاز لم يعد مستخدماً
problem-not_found = لا يوجد شيء بهذا المعرّف
problem-method_not_allowed = هذه العملية غير متاحة لهذا المسار
problem-request_timeout = تأخّر وصول الطلب كثيراً
problem-conflict = يتعارض مع ما هو موجود
problem-already_decided = تمّ البتّ فيه من قبل
problem-still_held = لا يمكن الإفراج عنه كما هو
problem-id_taken = الاسم أو المعرّف مستخدم
problem-enrolment_code_used = استُخدم رمز التسجيل من جهاز آخر
problem-stale_request = رقم الطلب لا يتزايد
problem-precondition_failed = تغيّر منذ آخر قراءة
problem-too_large = الطلب كبير جداً
problem-unsupported_media_type = نوع البيانات غير مقبول هنا
problem-validation = الطلب غير صالح
problem-enrolment_code_unknown = لا يوجد رمز تسجيل كهذا
problem-enrolment_code_expired = انتهت صلاحية رمز التسجيل
problem-wrong_signature = التوقيع غير مطابق
problem-precondition_required = ينقص الطلب الترويسة If-Match
problem-too_many_requests = محاولات كثيرة جداً
problem-internal = حدث عطل في الخادم
problem-unavailable = لا يستطيع الخادم الإجابة الآن

## ما يقرؤه العملاء

customer-receipt = { $lender }: استلمنا { $amount } للحساب { $account } بتاريخ { $date }. رقم الإيصال { $receipt }.
customer-awaiting_confirmation = { $lender }: دفعتكم بمبلغ { $amount } بانتظار تأكيد مزوّد الخدمة.
customer-account_paid = { $lender }: سُدّد الحساب { $account } بالكامل. شكراً لكم.
customer-instalments_left = { $count ->
    [zero] لم يبقَ أي قسط.
    [one] بقي قسط واحد.
    [two] بقي قسطان.
    [few] بقيت { $count } أقساط.
    [many] بقي { $count } قسطاً.
   *[other] بقي { $count } قسط.
}
