package dashboard

func (d *dashboard) destinations() {}
func (d *dashboard) brand()        {}
