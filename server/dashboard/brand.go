package dashboard

import (
	"amphi/server/account"
	"amphi/server/policy"
	"amphi/server/store"
	"amphi/templates/dash"
)

func (d *dashboard) brand() {
	d.handle("GET /dashboard/apps/{app}/brand", account.Viewer, func(v *visit) error {
		t, err := v.template()
		if err != nil {
			return err
		}
		return v.page("Brand of "+t.Policy.Name, dash.PlaceApps, dash.BrandPage(v.app(t), logoOf(t), dash.Filled("name", brandOf(t).Name, "color", brandOf(t).Color)))
	})
	d.handle("POST /dashboard/apps/{app}/brand", account.Developer, (*visit).saveBrand)
}

func brandOf(t store.Template) policy.Brand {
	if t.Policy.Settings.Brand == nil {
		return policy.Brand{}
	}
	return *t.Policy.Settings.Brand
}

// logoOf is the logo, in the page itself: it is small.
func logoOf(t store.Template) string { return string(brandOf(t).Logo) }

func (v *visit) saveBrand() error {
	form := v.form()
	logo := v.uploaded(&form, "logo")
	fields := func(field string) string { return field }
	t, saved, err := v.changePolicy(&form, "settings.brand", fields, func(p *policy.Template) {
		b := policy.Brand{Name: form.Get("name"), Logo: logo, Color: form.Get("color")}
		if p.Settings.Brand != nil && logo == "" && !form.On("nologo") {
			b.Logo = p.Settings.Brand.Logo
		}
		if p.Settings.Brand = &b; b == (policy.Brand{}) {
			p.Settings.Brand = nil
		}
	})
	if err != nil {
		return err
	}
	if !saved {
		return v.refused("Brand of "+t.Policy.Name, dash.PlaceApps, dash.BrandPage(v.app(t), logoOf(t), form))
	}
	v.audit("app.brand", t.Policy.Name)
	return v.done("/dashboard/apps/"+t.ID+"/brand", "Saved.")
}
