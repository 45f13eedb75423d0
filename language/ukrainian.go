package language

import (
	"strconv"
	"time"
)

var ukrainian = &Language{
	Tag: "uk", Direction: "ltr",
	decimal: ",", group: "\u00a0",
	date: func(t time.Time) string {
		months := [...]string{
			"січня", "лютого", "березня", "квітня", "травня", "червня",
			"липня", "серпня", "вересня", "жовтня", "листопада", "грудня",
		}
		return strconv.Itoa(t.Day()) + " " + months[t.Month()-1] + " " + strconv.Itoa(t.Year()) + "\u00a0р."
	},
	every: func(n int, unit string) string {
		once := map[string]string{"DAY": "щодня", "WEEK": "щотижня", "MONTH": "щомісяця", "YEAR": "щороку"}
		if n == 1 {
			return once[unit]
		}
		forms := map[string][3]string{
			"DAY": {"день", "дні", "днів"}, "WEEK": {"тиждень", "тижні", "тижнів"},
			"MONTH": {"місяць", "місяці", "місяців"}, "YEAR": {"рік", "роки", "років"},
		}
		return "раз на " + strconv.Itoa(n) + " " + forms[unit][ukrainianForm(n)]
	},
	Words: Words{
		Quote: "Пропозиція", Invoice: "Рахунок", Receipt: "Квитанція", CreditNote: "Кредит-нота",

		From: "Постачальник", To: "Покупець", Date: "Дата", Due: "Сплатити до", Paid: "Сплачено", ValidUntil: "Дійсна до", Issued: "Виставлено",
		PaidWith: "Спосіб оплати", TaxNumber: "Податковий номер",
		Description: "Найменування", Quantity: "Кількість", UnitPrice: "Ціна", Amount: "Сума",
		Subtotal: "Проміжний підсумок", Tax: "Податок", Total: "Разом", TotalWithTax: "Разом із податком",
		AmountDue: "До сплати", AmountPaid: "Сплачено", Credited: "За кредит-нотами", TotalCredited: "Усього за кредит-нотою",
		TaxAt: "Податок (%s %%)", TaxOf: "Податок (%s %% від %s)", DatedOn: "%s від %s",
		WithBalance: "З балансу", WithSeller: "Безпосередньо постачальникові", WithOrder: "Онлайн-платіж %s",
		ReverseCharge:    "Зворотне оподаткування (reverse charge): податок за цією операцією сплачує покупець.",
		PositionsWithTax: "Суми за позиціями вказано з податком.",
		PayOnline:        "Оплатити онлайн",
		TestDocument:     "ТЕСТ: справжніх грошей цей документ не стосується",
		Marks: map[string]string{
			"PAID": "СПЛАЧЕНО", "VOID": "АНУЛЬОВАНО", "ACCEPTED": "ПРИЙНЯТО", "CANCELED": "СКАСОВАНО", "EXPIRED": "СТРОК МИНУВ",
		},

		Thanks: "Дякуємо!", ThanksText: "Ваш платіж отримано.",
		Failed: "Платіж не пройшов", Canceled: "Платіж скасовано", NotCharged: "Нічого не списано.",
		Left: "Ви вийшли, не заплативши", LeftText: "Нічого не списано.",
		Unfinished: "Платіж не завершено", UnfinishedText: "Ми ще не маємо відомостей про ваш платіж. Якщо ви вже заплатили, можете закрити цю сторінку: платіж буде зараховано автоматично.",
		Waiting: "Чекаємо на відповідь банку", WaitingText: "Платіж ще не підтверджено. Можете закрити цю сторінку: від вас більше нічого не потрібно.",
		Order: "Замовлення", ShowReceipt: "Переглянути квитанцію", PayFurther: "Продовжити оплату",
		Refusals: map[string]string{
			"insufficient_funds":                    "На картці недостатньо коштів.",
			"expired_card":                          "Термін дії картки закінчився.",
			"incorrect_number":                      "Неправильний номер картки.",
			"invalid_number":                        "Неправильний номер картки.",
			"incorrect_cvc":                         "Неправильний код безпеки картки (CVC).",
			"invalid_cvc":                           "Неправильний код безпеки картки (CVC).",
			"invalid_expiry_month":                  "Неправильний термін дії картки.",
			"invalid_expiry_year":                   "Неправильний термін дії картки.",
			"card_not_supported":                    "Цією карткою не можна розрахуватися за таку покупку.",
			"currency_not_supported":                "Картка не підтримує цю валюту.",
			"card_velocity_exceeded":                "Перевищено ліміт картки.",
			"withdrawal_count_limit_exceeded":       "Перевищено ліміт картки.",
			"authentication_required":               "Банк не отримав підтвердження платежу.",
			"payment_intent_authentication_failure": "Банк не отримав підтвердження платежу.",
			"processing_error":                      "Під час обробки платежу сталася помилка.",
			"card_declined":                         "Банк відхилив картку.",
			"declined":                              "Банк відхилив картку.",
		},
		Refused: "Платіж відхилено.",

		Test: "ТЕСТ", TestPage: "ТЕСТ — справжні гроші тут не списуються",
		Pay: "Сплатити %s", PaidElsewhere: "Цей рахунок сплачують безпосередньо постачальникові.",
		DocumentFile: "Рахунок (PDF)", ReceiptFile: "Квитанція (PDF)",
		PressAgain: "Натисніть, будь ласка, кнопку ще раз.",
		NotNow:     "Зараз сплатити рахунок тут не можна: можливо, платіж уже обробляється. Перевірте за кілька хвилин або зверніться до постачальника.",
		NoGateway:  "Сторінка оплати зараз недоступна. Нічого не списано: спробуйте, будь ласка, трохи згодом.",
		NotReady:   "Сторінка оплати ще не готова. Спробуйте, будь ласка, трохи згодом.",

		NotFound: "За цією адресою нічого немає", NotFoundText: "Можливо, посилання неповне або вже не діє. Відкрийте його ще раз звідти, де отримали, або зверніться до того, хто його надіслав.",
		Unreadable: "Зараз цю сторінку показати не вдається", UnreadableText: "Нічого не втрачено. Спробуйте, будь ласка, трохи згодом.",
	},
}

// ukrainianForm is which of a noun's three forms stands after a number: 1 рік,
// 2 роки, 5 років, 11 років, 21 рік.
func ukrainianForm(n int) int {
	switch {
	case n%10 == 1 && n%100 != 11:
		return 0
	case n%10 >= 2 && n%10 <= 4 && (n%100 < 12 || n%100 > 14):
		return 1
	}
	return 2
}
